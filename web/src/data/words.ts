// Amounts and times as people read them; one place, so that every page says the same.
export const gpus = (n: number): string => (n < 0 ? "no limit" : String(Math.round(n * 1000) / 1000));

// What a workload asks for: memory of GPUs, or GPUs.
export function asked(w: { requestedGpus: number; requestedGpuMemoryMib: number }): string {
  const mib = w.requestedGpuMemoryMib;
  if (!mib) return gpus(w.requestedGpus);
  return mib % 512 === 0 ? `${mib / 1024} GiB` : `${Number(((mib * 2 ** 20) / 1e9).toPrecision(3))} GB`;
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

export function gib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 30)} GiB`;
}

export const ENDED = new Set(["Completed", "Failed", "Stopped"]);
export const ATTENTION = new Set(["Failed", "Degraded"]);
