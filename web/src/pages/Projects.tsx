// Sharing: who uses which quota, who is owed, who waits on whom; one project in the panel.
import { useEffect, useMemo, useState } from "react";
import { Link, useSearchParams } from "wouter";
import { useLive } from "../data/live";
import { capacity } from "../data/machines";
import { named, poolOf, standingOf, useOf, type Standing, type Use } from "../data/sharing";
import type { Queue, Workload } from "../data/types";
import { clock, count, gpus } from "../data/words";
import { Icon } from "../parts/Icon";
import { useNarrow } from "../parts/narrow";
import { QuotaBar } from "../parts/QuotaBar";
import { Key } from "./Key";
import { ProjectPanel } from "./ProjectPanel";
import { Waits } from "./Waits";

export type Line = { queue: Queue; use: Use; standing: Standing; waiting: Workload[] };
type PoolOfLines = { name: string; gpus: number; free: number; departments: Line[]; projects: Line[]; waiting: Workload[]; isSimulated: boolean };

export function Projects() {
  const live = useLive();
  const narrow = useNarrow();
  const [query, setQuery] = useSearchParams();
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const pools = useMemo(() => poolsOf(live), [live]);
  const chosen = pools.find((p) => p.name === query.get("pool"));
  const shown = chosen ? [chosen] : pools;
  const openName = query.get("p");
  const lines = pools.flatMap((p) => p.projects);

  function set(name: string, value: string | null) {
    setQuery((before) => {
      if (value) before.set(name, value);
      else before.delete(name);
      return before;
    });
  }
  useEffect(() => {
    function onKey(e: KeyboardEvent) {
      if (e.key === "Escape" && openName && !(e.target instanceof HTMLElement && e.target.closest("[role=dialog]"))) set("p", null);
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const Show = narrow ? Cards : Rows;
  return (
    <>
      <div className="pagehead">
        <h1>Projects</h1>
        <p className="mu" role="status">
          {live.state === "loading" ? "" : answer(shown.flatMap((p) => p.projects))}
        </p>
        {shown.some((p) => p.isSimulated) && <span className="tag">simulated</span>}
        <span className="sp" />
        {pools.length > 1 && (
          <div className="seg" role="group" aria-label="Node pool">
            {[...pools.map((p) => p.name), ""].map((name) => (
              <button key={name} type="button" aria-pressed={name === (chosen?.name ?? "")} onClick={() => set("pool", name || null)}>
                {name || "All"}
              </button>
            ))}
          </div>
        )}
      </div>
      {live.state === "offline" && <p className="note wait">Data of {clock(live.since)}; it is not renewed.</p>}
      {lines.length === 0 && live.state !== "loading" && <None problem={live.problem} />}
      {lines.length > 0 && (
        <div className={openName ? "split open" : "split"}>
          <div className="grid">
            <div className="lst">
              {shown.map((pool) => (
                <section key={pool.name} aria-label={`Node pool ${pool.name}`}>
                  <Show pool={pool} folded={folded} onFold={(name) => setFolded(flipped(folded, name))} open={openName} onOpen={(name) => set("p", name)} />
                  <Waits waiting={pool.waiting} lines={pool.projects} pool={pool.name} narrow={narrow} />
                </section>
              ))}
              <Key narrow={narrow} />
            </div>
          </div>
          {openName && <ProjectPanel key={openName} name={openName} lines={lines} onClose={() => set("p", null)} />}
        </div>
      )}
    </>
  );
}

function None({ problem }: { problem: string }) {
  if (problem) return <p className="pad mu">{problem}</p>;
  return (
    <div className="pad">
      <p className="st">No projects yet.</p>
      <p className="cmd">fairlead project create vision --gpus 4</p>
    </div>
  );
}

type Shown = { pool: PoolOfLines; folded: ReadonlySet<string>; onFold: (name: string) => void; open: string | null; onOpen: (name: string) => void };

function Rows({ pool, folded, onFold, open, onOpen }: Shown) {
  const max = scaleOf(pool);
  return (
    <table className="quotas" aria-label={`Projects of the pool ${pool.name}`}>
      <colgroup>
        {["146px", undefined, "58px", "74px", "54px", "54px", "54px", "124px"].map((width, i) => (
          <col key={i} style={{ width }} />
        ))}
      </colgroup>
      <thead>
        <tr>
          <th>Project</th>
          <th>
            <span className="hid">Quota and use</span>
            <Axis max={max} />
          </th>
          <th className="r">Used</th>
          <th className="r">Quota</th>
          <th className="r" title="What the scheduler gives now, seeing who asks">
            Fair
          </th>
          <th className="r">Limit</th>
          <th className="r">Waits</th>
          <th>State</th>
        </tr>
      </thead>
      {pool.departments.map((d) => (
        <tbody key={d.queue.name}>
          <Row line={d} max={max} isFolded={folded.has(d.queue.name)} onFold={() => onFold(d.queue.name)} />
          {!folded.has(d.queue.name) && inside(pool, d).map((p) => <Row key={p.queue.name} line={p} max={max} isOpen={p.queue.name === open} onOpen={() => onOpen(p.queue.name)} />)}
        </tbody>
      ))}
      <tbody>
        {alone(pool).map((p) => (
          <Row key={p.queue.name} line={p} max={max} isOpen={p.queue.name === open} onOpen={() => onOpen(p.queue.name)} />
        ))}
      </tbody>
      <tfoot>
        <Total pool={pool} max={max} />
      </tfoot>
    </table>
  );
}

type RowProps = { line: Line; max: number; isOpen?: boolean; onOpen?: () => void; isFolded?: boolean; onFold?: () => void };

function Row({ line, max, isOpen, onOpen, isFolded, onFold }: RowProps) {
  const { queue, use } = line;
  return (
    <tr className={onFold ? "dep" : isOpen ? "sel" : "pro"} onClick={onOpen}>
      <td className={onFold ? "" : "in1"}>
        {onFold ? (
          <button type="button" className="n fold" aria-expanded={!isFolded} onClick={onFold}>
            <Icon name={isFolded ? "right" : "down"} />
            {queue.name}
          </button>
        ) : (
          <Link className="n" href={`/projects?p=${encodeURIComponent(queue.name)}`} title={queue.name} onClick={(e) => stay(e, onOpen)}>
            {queue.name}
          </Link>
        )}
      </td>
      <td className="qc">
        <QuotaBar use={use} max={max} name={queue.name} />
      </td>
      <td className="r me">{gpus(use.used)}</td>
      <td className="r">{quota(use.deserved)}</td>
      <td className="r mu">{gpus(use.fair)}</td>
      <td className="r mu">{limit(use.limit)}</td>
      <td className="r">{use.waiting ? <span className="wait st">{gpus(use.waiting)}</span> : <span className="fa">–</span>}</td>
      <td>
        <State standing={line.standing} />
      </td>
    </tr>
  );
}

function Total({ pool, max }: { pool: PoolOfLines; max: number }) {
  const use = sumOf(pool);
  return (
    <tr className="tot">
      <td title={`Pool ${pool.name}`}>
        Pool {pool.name}
      </td>
      <td className="qc">
        <QuotaBar use={use} max={max} name={`Pool ${pool.name}`} />
      </td>
      <td className="r">{gpus(use.used)}</td>
      <td className="r">{quota(use.deserved)}</td>
      <td className="r">{gpus(use.fair)}</td>
      <td className="r">{gpus(pool.gpus)}</td>
      <td className="r">{use.waiting ? gpus(use.waiting) : "–"}</td>
      <td>{gpus(pool.free)} free</td>
    </tr>
  );
}

// A phone: each line of the table as a card, the bar over its whole width.
function Cards({ pool, open, onOpen }: Shown) {
  const max = scaleOf(pool);
  return (
    <>
      <h2 className="gpc">
        Pool {pool.name}
        <span className="mu">
          {count(pool.gpus, "GPU")} · {gpus(pool.free)} free
        </span>
      </h2>
      {[...pool.departments.map((d) => [d, ...inside(pool, d)]), alone(pool)].filter((lines) => lines.length > 0).map((lines) => (
        <ul key={lines[0]?.queue.name ?? ""} aria-label={lines[0]?.queue.name}>
          {lines.map((line) => (
            <CardOf key={line.queue.kind + line.queue.name} line={line} max={max} isOpen={line.queue.name === open} onOpen={() => onOpen(line.queue.name)} />
          ))}
        </ul>
      ))}
    </>
  );
}

function CardOf({ line, max, isOpen, onOpen }: { line: Line; max: number; isOpen: boolean; onOpen: () => void }) {
  const { queue, use } = line;
  const isProject = queue.kind === "project";
  return (
    <li className={`cdi${isProject ? "" : " dep"}${isOpen ? " sel" : ""}`} onClick={isProject ? onOpen : undefined}>
      <span className="row">
        {isProject ? (
          <Link className="n me" href={`/projects?p=${encodeURIComponent(queue.name)}`} onClick={(e) => stay(e, onOpen)}>
            {queue.name}
          </Link>
        ) : (
          <b className="me">{queue.name}</b>
        )}
        <span className="sp" />
        <State standing={line.standing} />
      </span>
      <QuotaBar use={use} max={max} name={queue.name} />
      <span className="sm mu">
        {gpus(use.used)} used · quota {quota(use.deserved)} · fair {gpus(use.fair)} · limit {limit(use.limit)}
        {use.waiting > 0 && (
          <>
            {" "}
            · <span className="wait st">{count(use.waiting, "waits", "wait")}</span>
          </>
        )}
      </span>
    </li>
  );
}

function State({ standing }: { standing: Standing }) {
  return standing.tone ? <span className={`tag ${standing.tone}`}>{standing.text}</span> : <span className="fa std">{standing.text}</span>;
}

function Axis({ max }: { max: number }) {
  const step = niceStep(max);
  const ticks = Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step).filter((t) => t <= 0.96 * max);
  return (
    <div className="axis" aria-hidden="true">
      {ticks.map((t) => (
        <i key={t} style={{ left: `${(100 * t) / max}%` }}>
          {t}
        </i>
      ))}
    </div>
  );
}

function poolsOf(live: ReturnType<typeof useLive>): PoolOfLines[] {
  const waiting = live.workloads.filter((w) => w.phase === "Pending");
  const names = [...new Set(live.queues.map((q) => q.pool))].sort((a, b) => Number(b === "default") - Number(a === "default") || a.localeCompare(b));
  const found = names.map((name) => {
    const nodes = live.nodes.filter((n) => n.nodePool === name);
    const here = waiting.filter((w) => poolOf(w) === name).sort((a, b) => a.createdAt.localeCompare(b.createdAt));
    const queues = live.queues.filter((q) => q.pool === name).sort((a, b) => a.name.localeCompare(b.name));
    const lines = queues.map((queue): Line => {
      const mine = queue.kind === "project" ? here.filter((w) => w.projectName === queue.name) : [];
      return { queue, use: useOf(queue), standing: standingOf(queue, mine), waiting: mine };
    });
    const projects = lines.filter((l) => l.queue.kind === "project");
    const departments = lines.filter((l) => l.queue.kind === "department" && projects.some((p) => p.queue.parent === l.queue.name));
    const sum = capacity(nodes);
    return { name, gpus: sum.all, free: sum.free, departments, projects, waiting: here, isSimulated: queues.some((q) => q.simulated) };
  });
  return found.filter((p) => p.projects.length > 0);
}

const inside = (pool: PoolOfLines, department: Line): Line[] => pool.projects.filter((p) => p.queue.parent === department.queue.name);

// Projects whose department is not to be seen, or has no part of this pool.
const alone = (pool: PoolOfLines): Line[] => pool.projects.filter((p) => !pool.departments.some((d) => d.queue.name === p.queue.parent));

function sumOf(pool: PoolOfLines): Use {
  const add = (of: (u: Use) => number) => Math.round(pool.projects.reduce((sum, l) => sum + of(l.use), 0) * 1000) / 1000;
  const isUnlimited = pool.projects.some((l) => l.use.deserved < 0);
  return { used: add((u) => u.used), deserved: isUnlimited ? -1 : add((u) => u.deserved), fair: add((u) => u.fair), limit: pool.gpus, waiting: add((u) => u.waiting) };
}

// One scale for all bars of a pool: wide enough for its devices and for whatever is asked of them.
function scaleOf(pool: PoolOfLines): number {
  const widest = [...pool.departments, ...pool.projects].map(({ use }) => Math.max(use.used, use.deserved, use.fair, use.limit));
  return Math.ceil(Math.max(1, pool.gpus, ...widest));
}

function niceStep(max: number): number {
  return [1, 2, 4, 8, 16, 32, 64, 100, 200, 500, 1000].find((s) => max / s <= 5) ?? Math.ceil(max / 5);
}

export function answer(lines: Line[]): string {
  const borrows = named(lines.map((l) => ({ name: l.queue.name, amount: l.standing.borrowed })), "borrows");
  const owed = named(lines.map((l) => ({ name: l.queue.name, amount: l.standing.owed })), "is owed");
  return [borrows, owed].filter(Boolean).join("; ") || "Nobody is owed, nobody borrows";
}

export const quota = (deserved: number): string => (deserved < 0 ? "unlimited" : gpus(deserved));
export const limit = (most: number): string => (most < 0 ? "none" : gpus(most));

// A click on the name opens the panel as one on its row does, once; with a key held it is a link like any other.
function stay(e: React.MouseEvent, open: (() => void) | undefined): void {
  if (e.ctrlKey || e.metaKey || e.shiftKey) return;
  e.preventDefault();
  e.stopPropagation();
  open?.();
}

function flipped(all: ReadonlySet<string>, name: string): ReadonlySet<string> {
  const next = new Set(all);
  if (!next.delete(name)) next.add(name);
  return next;
}
