// Who waits, and on whom: every waiting workload of a pool, the oldest first.
import { Link } from "wouter";
import { named, waitsOn } from "../data/sharing";
import type { Workload } from "../data/types";
import { asked, count, span } from "../data/words";
import type { Line } from "./Projects";

const MOST = 50;

export function Waits({ waiting, lines, pool, narrow }: { waiting: Workload[]; lines: Line[]; pool: string; narrow: boolean }) {
  if (!waiting.length) return null;
  const borrowers = named(lines.map((l) => ({ name: l.queue.name, amount: l.standing.borrowed })), "borrows");
  const found = waiting.slice(0, MOST).map((w) => ({ w, on: waitsOn(w, lines.find((l) => l.queue.name === w.projectName)?.queue, borrowers) }));
  return (
    <section className="wt" aria-label={`Who waits in ${pool}`}>
      <header className="row">
        <h2>Who waits, and on whom</h2>
        <span className="sm fa">
          {waiting.length > MOST ? (
            <>
              the {MOST} that wait longest of <Link href="/workloads?view=waiting">{count(waiting.length, "workload")}</Link>
            </>
          ) : (
            "every waiting workload of the pool"
          )}
        </span>
      </header>
      {narrow ? (
        <ul>
          {found.map(({ w, on }) => (
            <li key={w.id} className="cdi">
              <span className="row">
                <Name w={w} />
                <span className="sp" />
                <span className="mu nw">{span(w.createdAt)}</span>
              </span>
              <span>{on}</span>
              <span className="sm mu">
                {w.projectName} · asks {asks(w)}
              </span>
            </li>
          ))}
        </ul>
      ) : (
        <table>
          <colgroup>
            {["146px", "88px", "66px", undefined, "84px"].map((width, i) => (
              <col key={i} style={{ width }} />
            ))}
          </colgroup>
          <thead>
            <tr>
              <th>Workload</th>
              <th>Project</th>
              <th className="r">Asks</th>
              <th>Waits on</th>
              <th className="r">Waits for</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ w, on }) => (
              <tr key={w.id}>
                <td>
                  <Name w={w} />
                </td>
                <td className="mu">{w.projectName}</td>
                <td className="r">{asked(w)}</td>
                <td className="mu" title={on}>
                  {on}
                </td>
                <td className="r mu">{span(w.createdAt)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

const asks = (w: Workload): string => (w.requestedGpuMemoryMib ? asked(w) : count(w.requestedGpus, "GPU"));

function Name({ w }: { w: Workload }) {
  return (
    <Link className="n" href={`/workloads?w=${w.id}`} title={w.name}>
      {w.name}
    </Link>
  );
}
