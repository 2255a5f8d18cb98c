// A node's devices as cells in device order; a cell's slices are shares, as wide as their fraction.
import { Tooltip } from "@mantine/core";
import { Link } from "wouter";
import type { Device, MachineNode } from "../data/types";
import { count, gpus } from "../data/words";

export function GpuStrip({ node }: { node: MachineNode }) {
  const busy = node.gpus.filter((d) => d.used_milli > 0).length;
  const sentence = `${node.name}: ${busy} of ${count(node.gpus.length, "GPU")} in use${node.simulated ? ", simulated" : ""}`;
  return (
    <span className="gs big" role="group" aria-label={sentence}>
      {node.gpus.map((d) => (
        <Cell key={d.index} device={d} lost={node.status === "NotReady"} />
      ))}
    </span>
  );
}

function Cell({ device, lost }: { device: Device; lost: boolean }) {
  const first = device.holders[0];
  const label = describe(device, lost);
  const look = lost ? "c lost" : !device.healthy ? "c x" : device.used_milli >= 1000 && device.holders.length === 1 ? "c u" : "c";
  const slices = look === "c" ? device.holders.map((h, i) => <s key={i} style={{ width: `${h.milli / 10}%` }} />) : null;
  return (
    <Tooltip label={label} withArrow multiline events={{ hover: true, focus: true, touch: true }}>
      {first?.workload ? (
        <Link className={look} href={`/workloads?w=${first.workload}`} aria-label={label}>
          {slices}
        </Link>
      ) : (
        <span className={look} role="img" aria-label={label}>
          {slices}
        </span>
      )}
    </Tooltip>
  );
}

export function describe(device: Device, lost: boolean): string {
  if (lost) return `GPU ${device.index}: its node is lost`;
  if (!device.healthy) return `GPU ${device.index}: sick`;
  if (!device.holders.length) return `GPU ${device.index}: free`;
  const who = device.holders.map((h) => `${h.workload_name || "another project"} (${gpus(h.milli / 1000)})`).join(", ");
  return `GPU ${device.index}: ${who}`;
}
