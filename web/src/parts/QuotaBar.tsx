// One line, one scale for the whole table: solid in quota, hatched borrowed, dashed waiting, tick quota, triangle fair share.
import type { CSSProperties } from "react";
import { sentenceOf, type Use } from "../data/sharing";

export function QuotaBar({ use, max, name }: { use: Use; max: number; name: string }) {
  const quota = use.deserved < 0 ? max : Math.min(use.deserved, max);
  const style = {
    "--max": max,
    "--u": use.used,
    "--d": quota,
    "--f": Math.min(use.fair, max),
    "--l": use.limit < 0 ? max : Math.min(use.limit, max),
    "--w": Math.min(use.waiting, Math.max(0, max - use.used)),
  } as CSSProperties;
  return (
    <div className="qb" style={style} role="img" aria-label={`${name}: ${sentenceOf(use)}`} title={sentenceOf(use)}>
      <i className={use.limit < 0 ? "l n" : "l"} />
      {use.waiting > 0 && <i className="w" />}
      <i className="u" />
      {use.deserved >= 0 && use.used > quota && <i className="o" />}
      {use.deserved >= 0 && <i className="d" />}
      <i className="f" />
      {use.limit >= 0 && <i className="e" />}
    </div>
  );
}
