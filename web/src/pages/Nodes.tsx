import { useState } from "react";
import { useLive } from "../data/live";
import type { MachineNode } from "../data/types";
import { clock, count, gib, gpus } from "../data/words";
import { GpuStrip, describe } from "../parts/GpuStrip";

export function Nodes() {
  const live = useLive();
  const [asTable, setAsTable] = useState(false);
  const nodes = live.nodes;
  const sum = capacity(nodes);
  const pools = [...new Set(nodes.map((n) => n.nodePool))].sort();
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
      {nodes.length === 0 && live.state !== "loading" && (
        <p className="pad mu">
          No node has reported yet. On this machine <code>fairlead up</code> makes one.
        </p>
      )}
      {nodes.length > 0 && (
        <section className="card sums" aria-label="Capacity">
          <Sum name="Busy" value={sum.busy} look="u" />
          <Sum name="Free" value={sum.free} look="" />
          <Sum name="Sick or lost" value={sum.lost} look="x" />
          <span className="sp" />
          <span className="mu">
            {gpus(sum.busy)} + {gpus(sum.free)} + {gpus(sum.lost)} = {count(sum.all, "GPU")}
          </span>
        </section>
      )}
      {pools.map((pool) => (
        <section key={pool} className="pool" aria-label={`Node pool ${pool}`}>
          <h2>
            {pool} <span className="fa">{poolSentence(nodes.filter((n) => n.nodePool === pool))}</span>
          </h2>
          {asTable ? <DeviceTable nodes={nodes.filter((n) => n.nodePool === pool)} /> : <Strips nodes={nodes.filter((n) => n.nodePool === pool)} />}
        </section>
      ))}
      {live.state === "offline" && <p className="pad wait">Data of {clock(live.since)}; it is not renewed.</p>}
    </>
  );
}

function Strips({ nodes }: { nodes: MachineNode[] }) {
  return (
    <div className="card scroller" tabIndex={0} role="group" aria-label="Nodes of the pool">
      <table className="nodes">
        <thead>
          <tr>
            <th>Node</th>
            <th>GPUs</th>
            <th className="r">Busy</th>
            <th className="r">CPUs</th>
            <th className="r">Memory</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((n) => (
            <tr key={n.name}>
              <td>
                <span className="n">{n.name}</span>
                {n.simulated && <span className="tag gap">simulated</span>}
              </td>
              <td>{n.gpus.length ? <GpuStrip node={n} /> : <span className="fa">none</span>}</td>
              <td className="r">
                {gpus(n.gpus.reduce((s, d) => s + d.used_milli, 0) / 1000)}/{n.gpus.length}
              </td>
              <td className="r mu">
                {gpus(n.cpuUsedMilli / 1000)}/{gpus(n.cpuMilli / 1000)}
              </td>
              <td className="r mu">
                {gib(n.memoryUsedBytes)} of {gib(n.memoryBytes)}
              </td>
              <td className={n.status === "Ready" ? "mu" : "bad"}>{n.status === "Ready" ? "Ready" : n.status === "NotReady" ? "Lost" : "Takes nothing new"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function DeviceTable({ nodes }: { nodes: MachineNode[] }) {
  return (
    <div className="card scroller" tabIndex={0} role="group" aria-label="Devices of the pool">
      <table className="nodes">
        <thead>
          <tr>
            <th>Node</th>
            <th>Model</th>
            <th>State</th>
          </tr>
        </thead>
        <tbody>
          {nodes.flatMap((n) =>
            n.gpus.map((d) => (
              <tr key={n.name + d.index}>
                <td className="n">{n.name}</td>
                <td className="mu">
                  {d.model}
                  {n.simulated ? " (simulated)" : ""}
                </td>
                <td>{describe(d, n.status === "NotReady")}</td>
              </tr>
            )),
          )}
        </tbody>
      </table>
    </div>
  );
}

function Sum({ name, value, look }: { name: string; value: number; look: string }) {
  return (
    <span className="sum">
      <span className={`c ${look}`} aria-hidden="true" />
      {name} <b>{gpus(value)}</b>
    </span>
  );
}

function capacity(nodes: MachineNode[]) {
  let busy = 0;
  let free = 0;
  let lost = 0;
  for (const n of nodes)
    for (const d of n.gpus) {
      if (n.status === "NotReady" || !d.healthy) lost += 1;
      else {
        busy += d.used_milli / 1000;
        free += 1 - d.used_milli / 1000;
      }
    }
  return { busy, free, lost, all: busy + free + lost };
}

function answer(nodes: MachineNode[]): string {
  const bad = nodes.filter((n) => n.status === "NotReady" || n.gpus.some((d) => !d.healthy));
  if (!nodes.length) return "";
  if (bad.length) return `${count(bad.length, "node needs", "nodes need")} a person: ${bad.map((n) => n.name).join(", ")}`;
  return `${nodes.length === 1 ? "The node is" : `All ${nodes.length} nodes are`} ready`;
}

function poolSentence(nodes: MachineNode[]): string {
  const sum = capacity(nodes);
  const models = [...new Set(nodes.flatMap((n) => (n.gpuInfo ? [n.gpuInfo.gpuType] : [])))].join(", ");
  return `${count(nodes.length, "node")}, ${gpus(sum.busy)} of ${gpus(sum.all)} GPUs busy${models ? ` · ${models}` : ""}`;
}
