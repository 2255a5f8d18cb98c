// Machines: is the cluster healthy, which node needs somebody, what is free, what runs where.
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { useLive } from "../data/live";
import { capacity, fault, heldOn, isLost, needsPerson, sick, withoutGpus, type Held } from "../data/machines";
import type { Device, MachineNode } from "../data/types";
import { clock, count, gib, gibOf, gpus } from "../data/words";
import { GpuStrip } from "../parts/GpuStrip";
import { Icon } from "../parts/Icon";
import { useNarrow } from "../parts/narrow";

const LEGEND = [["u", "busy"], ["sl", "shared, one slice a workload"], ["", "free"], ["x", "sick"], ["lost", "node lost"]] as const;
const MOST_NAMED = 4;

export function Nodes() {
  const live = useLive();
  const narrow = useNarrow();
  const [asTable, setAsTable] = useState(false);
  const nodes = live.nodes;
  const pools = [...new Set(nodes.map((n) => n.nodePool))].sort().map((name) => ({ name, nodes: nodes.filter((n) => n.nodePool === name) }));
  const others = useMemo(() => withoutGpus(live.workloads), [live.workloads]);
  const Show = narrow ? Cards : Strips;
  const ShowDevices = narrow ? DeviceCards : DeviceTable;
  return (
    <>
      <div className="pagehead">
        <h1>Nodes</h1>
        <p className="mu" role="status">
          {live.state === "loading" ? "" : answer(nodes)}
        </p>
        <span className="sp" />
        <div className="seg" role="group" aria-label="Show as">
          <button type="button" aria-pressed={!asTable} onClick={() => setAsTable(false)}>
            Strips
          </button>
          <button type="button" aria-pressed={asTable} onClick={() => setAsTable(true)}>
            Table
          </button>
        </div>
      </div>
      {live.state === "offline" && <p className="note wait">Data of {clock(live.since)}; it is not renewed.</p>}
      {nodes.length === 0 && live.state !== "loading" && (
        <p className="pad mu">
          No node has reported yet. On this machine <code>fairlead up</code> makes one.
        </p>
      )}
      {nodes.length > 0 && (
        <>
          <Faults nodes={nodes.filter(needsPerson)} />
          <Sum nodes={nodes} />
          <div className="lst">
            {asTable ? <ShowDevices pools={pools} /> : <Show pools={pools} others={others} />}
            <p className="lg sm mu" aria-label="Legend">
              {LEGEND.map(([look, words]) => (
                <span key={words}>
                  <i className={`c ${look}`}>{look === "sl" && [0, 1].map((k) => <s key={k} style={{ width: "50%" }} />)}</i>
                  {words}
                </span>
              ))}
            </p>
          </div>
        </>
      )}
    </>
  );
}

type Pools = { name: string; nodes: MachineNode[] }[];

function Faults({ nodes }: { nodes: MachineNode[] }) {
  if (!nodes.length) return null;
  return (
    <ul className="at" aria-label="What needs you">
      {nodes.map((n) => {
        const found = fault(n);
        return (
          <li key={n.name}>
            <span className="pill bad t">
              <Icon name={isLost(n) ? "bad" : "degr"} />
              {n.name}
            </span>
            <span>
              <b className="me">{found?.what}</b> <span className="mu">{found?.then}</span>
            </span>
          </li>
        );
      })}
    </ul>
  );
}

function Sum({ nodes }: { nodes: MachineNode[] }) {
  const sum = capacity(nodes);
  const empty = nodes.filter((n) => n.gpus.length > 0 && !needsPerson(n) && n.gpus.every((d) => !d.used_milli)).length;
  const parts = [["c1", sum.busy, "busy"], ["c3", sum.free, "free"], ["c4", sum.lost, "lost to faults"]] as const;
  return (
    <section className="cap" aria-label="Capacity">
      <div className="cb" aria-hidden="true">
        {parts.map(([look, value]) => value > 0 && <i key={look} className={look} style={{ flex: value }} />)}
      </div>
      <p className="cl">
        {parts.map(([look, value, words], i) => (
          <span key={look}>
            {i > 0 && <span className="op">+ </span>}
            <i className={look} aria-hidden="true" />
            <b>{gpus(value)}</b> {words}{" "}
          </span>
        ))}
        <span>
          <span className="op">= </span>
          <b>{count(sum.all, "GPU")}</b>
        </span>
        {empty > 0 && <span className="fa end">{count(empty, "node is", "nodes are")} empty</span>}
      </p>
    </section>
  );
}

function Strips({ pools, others }: { pools: Pools; others: Map<string, Held[]> }) {
  return (
    <table className="nodes" aria-label="Nodes by pool">
      <colgroup>
        {["156px", "144px", "218px", "52px", "84px", "150px", undefined].map((width, i) => (
          <col key={i} style={{ width }} />
        ))}
      </colgroup>
      <thead>
        <tr>
          <th>Node</th>
          <th>Health</th>
          <th>GPUs</th>
          <th className="r">Free</th>
          <th className="r" title="CPUs asked for, of all">
            CPUs
          </th>
          <th className="r" title="Memory asked for, of all">
            Memory
          </th>
          <th>What runs</th>
        </tr>
      </thead>
      {pools.map(({ name, nodes }) => {
        const sum = capacity(nodes);
        return (
          <tbody key={name}>
            <tr className="gp">
              <th scope="rowgroup">{name}</th>
              <th colSpan={2}>{made(nodes)}</th>
              <th className="r n">{gpus(sum.free)}</th>
              <th colSpan={3}>
                {gpus(sum.busy)} of {gpus(sum.all)} in use
              </th>
            </tr>
            {nodes.map((n) => (
              <tr key={n.name}>
                <td>
                  <Name node={n} />
                </td>
                <td>
                  <Health node={n} />
                </td>
                <td>{n.gpus.length ? <GpuStrip node={n} /> : <span className="fa">none</span>}</td>
                <td className="r">
                  <Free node={n} />
                </td>
                <td className="r mu">
                  {gpus(n.cpuUsedMilli / 1000)} of {gpus(n.cpuMilli / 1000)}
                </td>
                <td className="r mu">{gibOf(n.memoryUsedBytes, n.memoryBytes)}</td>
                <td className="mu">
                  <Runs node={n} others={others.get(n.name)} />
                </td>
              </tr>
            ))}
          </tbody>
        );
      })}
    </table>
  );
}

function Cards({ pools, others }: { pools: Pools; others: Map<string, Held[]> }) {
  return pools.map(({ name, nodes }) => {
    const sum = capacity(nodes);
    return (
      <section key={name} aria-label={`Node pool ${name}`}>
        <h2 className="gpc">
          {name}
          <span className="mu">
            {made(nodes)} · {gpus(sum.free)} free
          </span>
        </h2>
        <ul>
          {nodes.map((n) => (
            <li key={n.name} className="cdi">
              <span className="row">
                <Name node={n} />
                <span className="sp" />
                <Health node={n} />
              </span>
              {n.gpus.length > 0 && <GpuStrip node={n} />}
              <span className="mu">
                <Free node={n} /> free · {gpus(n.cpuUsedMilli / 1000)} of {gpus(n.cpuMilli / 1000)} CPUs · {gibOf(n.memoryUsedBytes, n.memoryBytes)}
              </span>
              <span className="mu">
                <Runs node={n} others={others.get(n.name)} />
              </span>
            </li>
          ))}
        </ul>
      </section>
    );
  });
}

function DeviceTable({ pools }: { pools: Pools }) {
  return (
    <table className="nodes" aria-label="Devices by node">
      <colgroup>
        {["156px", "144px", "52px", "190px", "92px", "110px", undefined].map((width, i) => (
          <col key={i} style={{ width }} />
        ))}
      </colgroup>
      <thead>
        <tr>
          <th>Node</th>
          <th>Health</th>
          <th className="r">GPU</th>
          <th>Model</th>
          <th className="r">Memory</th>
          <th>State</th>
          <th>What runs</th>
        </tr>
      </thead>
      <tbody>
        {pools.flatMap(({ nodes }) =>
          nodes.flatMap((n) =>
            n.gpus.map((d) => (
              <tr key={n.name + d.index}>
                <td>
                  <Name node={n} />
                </td>
                <td>
                  <Health node={n} />
                </td>
                <td className="r">{d.index}</td>
                <td className="mu">{d.model || "–"}</td>
                <td className="r mu">{d.memory_mib ? gib(d.memory_mib * 2 ** 20) : "–"}</td>
                <td className={tone(n, d)}>{stateOf(n, d)}</td>
                <td className="mu">
                  <Runs node={{ ...n, gpus: [d] }} others={undefined} />
                </td>
              </tr>
            )),
          ),
        )}
      </tbody>
    </table>
  );
}

function DeviceCards({ pools }: { pools: Pools }) {
  return (
    <ul>
      {pools.flatMap(({ nodes }) =>
        nodes.flatMap((n) =>
          n.gpus.map((d) => (
            <li key={n.name + d.index} className="cdi">
              <span className="row">
                <Name node={n} />
                <span className="mu nw">GPU {d.index}</span>
                <span className="sp" />
                <span className={tone(n, d)}>{stateOf(n, d)}</span>
              </span>
              <span className="mu">
                {d.model || "model unknown"}
                {d.memory_mib ? ` · ${gib(d.memory_mib * 2 ** 20)}` : ""} · <Runs node={{ ...n, gpus: [d] }} others={undefined} />
              </span>
            </li>
          )),
        ),
      )}
    </ul>
  );
}

function Name({ node }: { node: MachineNode }) {
  return (
    <span className="nm">
      <span className="n el" title={node.name}>
        {node.name}
      </span>
      {node.simulated && <span className="tag gap">simulated</span>}
    </span>
  );
}

function Health({ node }: { node: MachineNode }) {
  const bad = sick(node).length;
  const [icon, look, text] = isLost(node)
    ? ["bad", "bad t", "Not ready"]
    : bad
      ? ["degr", "bad t", `${count(bad, "GPU")} sick`]
      : node.status === "Unschedulable"
        ? ["stop", "done", "Takes nothing new"]
        : ["run", "ok", "Ready"];
  return (
    <span className={`pill ${look}`}>
      <Icon name={icon} />
      {text}
    </span>
  );
}

function Free({ node }: { node: MachineNode }) {
  const sum = capacity([node]);
  if (isLost(node) || !node.gpus.length) return <span className="fa">–</span>;
  return <span className={sum.free === node.gpus.length ? "st" : "mu"}>{gpus(sum.free)}</span>;
}

function Runs({ node, others }: { node: MachineNode; others: Held[] | undefined }) {
  const found = [...heldOn(node), ...(others ?? [])];
  if (!found.length) return <span className="fa">{isLost(node) ? "not known" : "empty"}</span>;
  const isPlain = node.gpus.length === 1 && found.length === 1;
  const said = (h: Held) => (h.gpus && !isPlain ? ` ${gpus(h.gpus)}` : "");
  return (
    <span title={found.map((h) => h.name + said(h)).join(", ")}>
      {found.slice(0, MOST_NAMED).map((h, i) => (
        <span key={h.id || h.name}>
          {i > 0 && ", "}
          {h.id ? (
            <Link className="q" href={`/workloads?w=${h.id}`}>
              {h.name}
            </Link>
          ) : (
            h.name
          )}
          {said(h)}
        </span>
      ))}
      {found.length > MOST_NAMED && `, ${found.length - MOST_NAMED} more`}
    </span>
  );
}

function stateOf(n: MachineNode, d: Device): string {
  if (isLost(n)) return "node lost";
  if (!d.healthy) return "sick";
  if (!d.used_milli) return "free";
  return d.used_milli >= 1000 && d.holders.length === 1 ? "busy" : `${gpus(d.used_milli / 1000)} in use`;
}

const tone = (n: MachineNode, d: Device): string => (isLost(n) || !d.healthy ? "bad" : d.used_milli ? "" : "fa");

function answer(nodes: MachineNode[]): string {
  const bad = nodes.filter(needsPerson).length;
  if (!nodes.length) return "";
  if (bad) return `${nodes.length - bad} of ${nodes.length} are healthy. ${count(bad, "needs", "need")} you.`;
  return nodes.length === 1 ? "The node is healthy." : `All ${nodes.length} are healthy.`;
}

function made(nodes: MachineNode[]): string {
  const kinds = [...new Set(nodes.map((n) => (n.gpuInfo ? `${n.gpuInfo.gpuCount} ${n.gpuInfo.gpuType}` : "no GPU")))];
  return kinds.length === 1 && nodes[0]!.gpuInfo ? `${count(nodes.length, "node")} × ${kinds[0]}` : `${count(nodes.length, "node")}: ${kinds.join(", ")}`;
}
