// One project beside the list: what it uses, whose it is, what runs and what waits in it.
import { Link } from "wouter";
import { useLive } from "../data/live";
import { named, poolOf, sentenceOf, waitsOn } from "../data/sharing";
import type { Workload } from "../data/types";
import { count, gpus } from "../data/words";
import { Icon } from "../parts/Icon";
import { QuotaBar } from "../parts/QuotaBar";
import type { Line } from "./Projects";

const MOST = 12;

export function ProjectPanel({ name, lines, onClose }: { name: string; lines: Line[]; onClose: () => void }) {
  const live = useLive();
  const mine = lines.filter((l) => l.queue.name === name);
  const close = (
    <button type="button" className="b q" aria-label="Close" onClick={onClose}>
      <Icon name="x" />
    </button>
  );
  if (!mine.length)
    return (
      <aside className="pn" aria-label="Project">
        <div className="pnhead">
          <p className="mu">There is no project {name}, or you may not see it.</p>
          <span className="sp" />
          {close}
        </div>
      </aside>
    );
  const holding = live.workloads.filter((w) => w.projectName === name && w.allocatedGpus > 0).sort((a, b) => b.allocatedGpus - a.allocatedGpus);
  const waiting = mine.flatMap((l) => l.waiting);
  return (
    <aside className="pn" aria-label={`Project ${name}`}>
      <div className="pnhead">
        <h2 className="el" title={name}>
          {name}
        </h2>
        <span className="sm mu el">{mine[0]!.queue.parent}</span>
        <span className="sp" />
        {close}
      </div>
      <div className="pnscroll" tabIndex={0} role="group" aria-label="About the project">
        <section className="ps">
          <p className="answer">{uses(mine)}</p>
          <p className="mu">{others(mine, lines)}</p>
          <div className="row acts">
            <Link className="b" href={`/workloads?project=${encodeURIComponent(name)}`}>
              Its workloads
            </Link>
          </div>
        </section>
        {mine.map(({ queue, use }) => (
          <section key={queue.pool} className="ps">
            <h3>On {queue.pool}</h3>
            <QuotaBar use={use} max={Math.max(1, use.used + use.waiting, use.deserved, use.fair, use.limit)} name={`${name} on ${queue.pool}`} />
            <p className="sm fa">{sentenceOf(use)}</p>
          </section>
        ))}
        <section className="ps">
          <h3 className="row">
            <span className="sp">What uses it now</span>
            <span className="fa sm">{count(sum(mine.map((l) => l.use.used)), "GPU")}</span>
          </h3>
          <List of={holding} href={`/workloads?project=${encodeURIComponent(name)}&view=running`} none="Nothing holds a GPU." amount={(w) => w.allocatedGpus} />
        </section>
        <section className="ps">
          <h3 className="row">
            <span className="sp">What waits</span>
            <span className="fa sm">{count(sum(mine.map((l) => l.use.waiting)), "GPU")}</span>
          </h3>
          <List of={waiting} href={`/workloads?project=${encodeURIComponent(name)}&view=waiting`} none="Nothing waits." amount={(w) => w.requestedGpus} on={(w) => waitsOn(w, mine.find((l) => l.queue.pool === poolOf(w))?.queue, "")} />
        </section>
      </div>
      <div className="pnfoot">
        <code className="cmd">fairlead list -p {name}</code>
      </div>
    </aside>
  );
}

function List({ of, href, none, amount, on }: { of: Workload[]; href: string; none: string; amount: (w: Workload) => number; on?: (w: Workload) => string }) {
  if (!of.length) return <p className="fa">{none}</p>;
  return (
    <ul className="ti">
      {of.slice(0, MOST).map((w) => (
        <li key={w.id}>
          <span className="row">
            <Link className="n el" href={`/workloads?w=${w.id}`} title={w.name}>
              {w.name}
            </Link>
            {w.borrowedGpus > 0 && <span className="tag lend">{gpus(w.borrowedGpus)} borrowed</span>}
            <span className="sp" />
            <span className="mu el">{w.submittedBy}</span>
            <span className="am">{gpus(amount(w))}</span>
          </span>
          {on && <span className="sm mu">{on(w)}</span>}
        </li>
      ))}
      {of.length > MOST && (
        <li>
          <Link href={href}>All {of.length}</Link>
        </li>
      )}
    </ul>
  );
}

const sum = (amounts: number[]): number => amounts.reduce((a, b) => a + b, 0);

function uses(mine: Line[]): string {
  const used = sum(mine.map((l) => l.use.used));
  const borrowed = sum(mine.map((l) => l.standing.borrowed));
  const own = mine.some((l) => l.use.deserved < 0) ? -1 : sum(mine.map((l) => l.use.deserved));
  if (borrowed > 0) return `Uses ${count(used, "GPU")}: ${gpus(used - borrowed)} of its own and ${gpus(borrowed)} borrowed.`;
  if (!used) return own < 0 ? "Uses nothing; its quota is unlimited." : `Uses nothing; ${count(own, "GPU is", "GPUs are")} its own.`;
  return own < 0 ? `Uses ${count(used, "GPU")}; its quota is unlimited.` : `Uses ${gpus(used)} of the ${count(own, "GPU")} that are its own.`;
}

// Who is owed what this project borrows, or who borrows what it is owed.
function others(mine: Line[], all: Line[]): string {
  const name = mine[0]!.queue.name;
  const pools = new Set(mine.map((l) => l.queue.pool));
  const beside = all.filter((l) => l.queue.name !== name && pools.has(l.queue.pool));
  const owed = named(beside.map((l) => ({ name: l.queue.name, amount: l.standing.owed })), "is owed");
  const borrow = named(beside.map((l) => ({ name: l.queue.name, amount: l.standing.borrowed })), "borrows");
  const mineOwed = sum(mine.map((l) => l.standing.owed));
  if (mine.some((l) => l.standing.borrowed > 0)) return owed ? `${owed}; what is borrowed may be taken back for that.` : "Nobody is owed what it borrows.";
  if (mineOwed > 0) return `It is owed ${gpus(mineOwed)} more${borrow ? `; ${borrow}` : ""}.`;
  return mine.some((l) => l.use.waiting > 0) ? "What waits is kept by a bound of its own, or asks for more than its quota." : "Nothing of it waits.";
}
