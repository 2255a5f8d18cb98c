import { Link } from "wouter";
import { useLive } from "../data/live";
import type { Queue, Workload } from "../data/types";
import { count, gpus } from "../data/words";
import { QuotaBar, sentenceOf, useOf, type Use } from "../parts/QuotaBar";

const BOUNDS = new Set(["over-limit", "over-deserved-fixed"]);
const LEGEND = [["u", "in quota"], ["o", "borrowed"], ["w", "waiting"], ["d", "quota"], ["f", "fair share"], ["e", "limit"]] as const;

export function Projects() {
  const live = useLive();
  const pools = [...new Set(live.queues.map((q) => q.pool))].sort((a, b) => (a === "default" ? -1 : b === "default" ? 1 : a.localeCompare(b)));
  const projects = live.queues.filter((q) => q.kind === "project");
  return (
    <>
      <div className="pagehead">
        <h1>Projects</h1>
        <p className="mu" role="status">
          {live.state === "loading" ? "" : answer(projects, live.workloads)}
        </p>
      </div>
      {projects.length === 0 && live.state !== "loading" && (
        <div className="pad">
          <p className="st">No projects yet.</p>
          <p className="cmd">fairlead project create vision --gpus 4</p>
        </div>
      )}
      {pools.map((pool) => (
        <Pool key={pool} pool={pool} queues={live.queues.filter((q) => q.pool === pool)} gpus={live.nodes.filter((n) => n.nodePool === pool).reduce((s, n) => s + n.gpus.length, 0)} />
      ))}
    </>
  );
}

function Pool({ pool, queues, gpus: devices }: { pool: string; queues: Queue[]; gpus: number }) {
  const departments = queues.filter((q) => q.kind === "department").sort(byName);
  const projects = queues.filter((q) => q.kind === "project").sort(byName);
  const widest = Math.max(1, devices, ...projects.map((q) => extent(useOf(q))));
  const max = Math.ceil(widest);
  const step = niceStep(max);
  const ticks = Array.from({ length: Math.floor(max / step) + 1 }, (_, i) => i * step);
  if (!projects.length) return null;
  return (
    <section className="pool" aria-label={`Node pool ${pool}`}>
      <h2>
        {pool} <span className="fa">{count(devices, "GPU")}</span>
        {queues.some((q) => q.simulated) && <span className="tag gap">simulated</span>}
      </h2>
      <div className="card scroller" tabIndex={0} role="group" aria-label="Projects of the pool">
        <table className="quotas">
          <thead>
            <tr>
              <th>Project</th>
              <th className="r">Used</th>
              <th className="r">Waiting</th>
              <th className="r">Quota</th>
              <th>
                <div className="axis" style={{ marginRight: 0 }} aria-hidden="true">
                  {ticks.map((t) => (
                    <i key={t} style={{ left: `${(100 * t) / max}%` }}>
                      {t}
                    </i>
                  ))}
                </div>
              </th>
            </tr>
          </thead>
          <tbody>
            {departments.map((d) => {
              const inside = projects.filter((p) => p.parent === d.name);
              return inside.length ? [<Line key={d.name} queue={d} max={max} isDepartment />, ...inside.map((p) => <Line key={d.name + p.name} queue={p} max={max} />)] : null;
            })}
          </tbody>
        </table>
      </div>
      <p className="legend sm mu">
        {LEGEND.map(([kind, words]) => (
          <span key={kind}>
            <i className={`k ${kind}`} /> {words}
          </span>
        ))}
      </p>
    </section>
  );
}

function Line({ queue, max, isDepartment = false }: { queue: Queue; max: number; isDepartment?: boolean }) {
  const use = useOf(queue);
  return (
    <tr className={isDepartment ? "dep" : ""}>
      <td>
        {isDepartment ? <span className="st">{queue.name}</span> : (
          <Link className="n in1" href={`/workloads?project=${queue.name}`}>
            {queue.name}
          </Link>
        )}
      </td>
      <td className="r">{gpus(use.used)}</td>
      <td className="r">{use.waiting ? <span className="wait">{gpus(use.waiting)}</span> : <span className="fa">–</span>}</td>
      <td className="r mu">{gpus(use.deserved)}</td>
      <td title={sentenceOf(use)}>
        <QuotaBar use={use} max={max} name={queue.name} />
      </td>
    </tr>
  );
}

function extent(u: Use): number {
  return Math.max(u.used + u.waiting, u.deserved, u.fair, u.limit);
}

function niceStep(max: number): number {
  return [1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100, 200, 500, 1000].find((s) => max / s <= 8) ?? Math.ceil(max / 8);
}

function answer(projects: Queue[], workloads: Workload[]): string {
  const owed = projects.filter((q) => {
    const u = useOf(q);
    return u.waiting > 0 && (u.deserved < 0 || u.used < u.deserved) && !isBounded(q, workloads);
  });
  const borrowing = projects.filter((q) => {
    const u = useOf(q);
    return u.deserved >= 0 && u.used > u.deserved;
  });
  if (owed.length) return `${owed.map((q) => q.name).join(", ")} ${owed.length === 1 ? "waits" : "wait"} inside ${owed.length === 1 ? "its" : "their"} quota`;
  if (borrowing.length) return `Nobody is owed; ${borrowing.map((q) => q.name).join(", ")} ${borrowing.length === 1 ? "borrows" : "borrow"}`;
  return "Nobody is owed, nobody borrows";
}

// Whether all that waits there is kept by a bound of its own, a limit or a quota, and so is owed nothing.
function isBounded(q: Queue, workloads: Workload[]): boolean {
  const waiting = workloads.filter((w) => w.phase === "Pending" && w.projectName === q.name && (w.currentNodePools[0] ?? "default") === q.pool);
  return waiting.length > 0 && waiting.every((w) => w.reasons.some((r) => BOUNDS.has(r.code)));
}

function byName(a: Queue, b: Queue): number {
  return a.name.localeCompare(b.name);
}
