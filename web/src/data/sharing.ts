// What the numbers of a queue mean to people: what it borrows, what it is owed, and in two words how it stands.
import type { Queue, Workload } from "./types";
import { asked, count, gpus } from "./words";

export type Use = { used: number; deserved: number; fair: number; limit: number; waiting: number };
export type Standing = { borrowed: number; owed: number; text: string; tone: "lend" | "wait" | "" };

const BOUNDS = new Set(["over-limit", "over-deserved-fixed", "over-fair-share"]);

export const poolOf = (w: Workload): string => w.currentNodePools[0] ?? "default";

export function useOf(q: Queue): Use {
  const used = q.allocated[0] / 1000;
  return {
    used,
    deserved: q.deserved[0] < 0 ? -1 : q.deserved[0] / 1000,
    fair: q.fair_share[0] / 1000,
    limit: q.limit[0] < 0 ? -1 : q.limit[0] / 1000,
    waiting: Math.max(0, (q.requested[0] - q.allocated[0]) / 1000),
  };
}

export function sentenceOf(u: Use): string {
  return [
    `${gpus(u.used)} used`,
    u.waiting ? `${gpus(u.waiting)} waiting` : "",
    u.deserved < 0 ? "quota unlimited" : `quota ${gpus(u.deserved)}`,
    `fair share ${gpus(u.fair)}`,
    u.limit < 0 ? "no limit" : `limit ${gpus(u.limit)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

// `waiting`: the workloads of this queue that wait. Where all of them are kept by a bound of their own, nothing is owed.
export function standingOf(q: Queue, waiting: Workload[]): Standing {
  const u = useOf(q);
  const isUnlimited = u.deserved < 0;
  const borrowed = isUnlimited ? 0 : Math.max(0, (q.allocated[0] - q.deserved[0]) / 1000);
  const room = isUnlimited ? u.waiting : Math.max(0, (q.deserved[0] - q.allocated[0]) / 1000);
  const owed = q.kind === "project" && !isBounded(waiting) ? Math.min(u.waiting, room) : 0;
  if (borrowed > 0) return { borrowed, owed: 0, text: `${gpus(borrowed)} borrowed`, tone: "lend" };
  if (owed > 0) return { borrowed, owed, text: `${gpus(owed)} owed`, tone: "wait" };
  const text = isUnlimited ? "–" : !u.deserved ? "no quota" : !room ? "at quota" : `${gpus(room)} ${u.waiting || q.kind === "department" ? "below" : "spare"}`;
  return { borrowed, owed, text, tone: "" };
}

function isBounded(waiting: Workload[]): boolean {
  return waiting.length > 0 && waiting.every((w) => w.reasons.some((r) => BOUNDS.has(r.code)));
}

/** Who or what a workload waits for: a bound of its own project, else the first cause and whoever borrows what its project is owed. */
export function waitsOn(w: Workload, own: Queue | undefined, borrowers: string): string {
  const codes = new Set(w.reasons.map((r) => r.code));
  const u = own && useOf(own);
  if (u && codes.has("over-limit") && u.limit >= 0 && u.used + w.requestedGpus > u.limit) return `its own project: limit ${gpus(u.limit)}`;
  if (u && codes.has("over-deserved-fixed") && u.deserved >= 0) return `its own project: work that is not stopped stays inside the quota of ${gpus(u.deserved)}`;
  const first = w.reasons[0]?.message ?? w.phaseMessage;
  const isOwed = own && standingOf(own, [w]).owed > 0;
  return isOwed && borrowers ? `${first}; ${borrowers}` : first;
}

/** "vision borrows 6, language 2": at most three by name, the largest first; empty where there is none. */
export function named(found: { name: string; amount: number }[], verb: string): string {
  const [first, ...others] = found.filter((f) => f.amount > 0).sort((a, b) => b.amount - a.amount || a.name.localeCompare(b.name));
  if (!first) return "";
  const more = others.slice(0, 2).map((f) => `${f.name} ${gpus(f.amount)}`);
  const left = others.length > 2 ? [`${others.length - 2} more`] : [];
  return [`${first.name} ${verb} ${gpus(first.amount)}`, ...more, ...left].join(", ");
}

/** What one workload asks for, with its unit. */
export const askedInFull = (w: Workload): string => (w.requestedGpuMemoryMib ? `${asked(w)} of GPU memory` : count(w.requestedGpus, "GPU"));
