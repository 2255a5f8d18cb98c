// Amounts and times as people read them; one place, so that every page says the same.
export const gpus = (n: number): string => (n < 0 ? "no limit" : String(Math.round(n * 1000) / 1000));

const GIB = 2 ** 30;
const FIGURES = [1, 2, 4].map((places) => new Intl.NumberFormat("en", { maximumFractionDigits: places, useGrouping: false, roundingMode: "halfEven" }));

// Memory is rounded as the command line and the reasons round it (fairlead.wire.amounts): 512, 23.47, 0.0625.
function rounded(value: number): string {
  return FIGURES[value >= 100 ? 0 : value >= 1 ? 1 : 2]!.format(value);
}

export const gib = (bytes: number): string => `${rounded(bytes / GIB)} GiB`;

export const gibOf = (used: number, all: number): string => `${rounded(used / GIB)} of ${gib(all)}`;

// What a workload asks for: memory of GPUs, or GPUs.
export function asked(w: { requestedGpus: number; requestedGpuMemoryMib: number }): string {
  const mib = w.requestedGpuMemoryMib;
  if (!mib) return gpus(w.requestedGpus);
  return mib % 512 === 0 ? gib(mib * 2 ** 20) : `${rounded((mib * 2 ** 20) / 1e9)} GB`;
}

export const count = (n: number, one: string, many = one + "s"): string => `${gpus(n)} ${n === 1 ? one : many}`;

export function span(from: string | null, to: string | number | null = null): string {
  if (!from) return "–";
  const end = to === null ? Date.now() : typeof to === "number" ? to : Date.parse(to);
  const seconds = Math.max(0, (end - Date.parse(from)) / 1000);
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export const clock = (when: string | number): string =>
  new Date(when).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

export const clockSeconds = (when: string | number): string => new Date(when).toLocaleTimeString("en-GB");

export const ENDED = new Set(["Completed", "Failed", "Stopped"]);
export const ATTENTION = new Set(["Failed", "Degraded"]);
