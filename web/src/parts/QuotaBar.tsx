// One line, one scale for the whole table: solid in quota, hatched borrowed, dashed waiting, tick quota, triangle fair share.
import type { CSSProperties } from "react";
import type { Queue } from "../data/types";
import { gpus } from "../data/words";

export type Use = { used: number; deserved: number; fair: number; limit: number; waiting: number };

export function useOf(q: Queue): Use {
  const used = q.allocated[0] / 1000;
  return {
    used,
    deserved: q.deserved[0] < 0 ? -1 : q.deserved[0] / 1000,
    fair: q.fair_share[0] / 1000,
    limit: q.limit[0] < 0 ? -1 : q.limit[0] / 1000,
    waiting: Math.max(0, q.requested[0] / 1000 - used),
  };
}

export function sentenceOf(u: Use): string {
  return [
    `${gpus(u.used)} used`,
    u.waiting ? `${gpus(u.waiting)} waiting` : "",
    u.deserved < 0 ? "no limit on quota" : `quota ${gpus(u.deserved)}`,
    `fair share ${gpus(u.fair)}`,
    u.limit < 0 ? "no limit" : `limit ${gpus(u.limit)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

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
    <div className="qb" style={style} role="img" aria-label={`${name}: ${sentenceOf(use)}`}>
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
