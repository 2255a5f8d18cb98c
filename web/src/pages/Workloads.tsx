import { useEffect, useMemo, useRef } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { useLive } from "../data/live";
import type { Workload } from "../data/types";
import { ATTENTION, ENDED, asked, count, gpus, span } from "../data/words";
import { Icon } from "../parts/Icon";
import { useNarrow } from "../parts/narrow";
import { Pill } from "../parts/Pill";
import { Table, type Column } from "../parts/Table";
import { Panel } from "./Panel";

const VIEWS: [id: string, text: string, short: string, holds: (w: Workload) => boolean][] = [
  ["all", "Everyone", "All", () => true],
  ["attention", "Needs attention", "Attention", (w) => ATTENTION.has(w.phase)],
  ["waiting", "Waiting", "Waiting", (w) => w.phase === "Pending"],
  ["running", "Running", "Running", (w) => w.phase === "Running"],
  ["finished", "Finished", "Ended", (w) => ENDED.has(w.phase)],
];

const ORDER = ["Failed", "Degraded", "Pending", "Creating", "Initializing", "Resuming", "Running", "Stopping", "Deleting"];

const COLUMNS: Column<Workload>[] = [
  { id: "phase", head: "Phase", width: "122px", cell: (w) => <Pill phase={w.phase} /> },
  { id: "name", head: "Name", width: "minmax(110px,1fr)", cell: (w) => <span className="n">{w.name}</span> },
  { id: "now", head: "Now", width: "minmax(0,2fr)", cell: (w) => <Now w={w} /> },
  { id: "project", head: "Project", width: "96px", cell: (w) => <span className="mu">{w.projectName}</span> },
  { id: "gpus", head: "GPUs", width: "92px", right: true, cell: (w) => `${gpus(w.allocatedGpus)}/${asked(w)}` },
  { id: "age", head: "Waits, runs for", width: "104px", right: true, title: "Waiting: since when. Running and ended: for how long.", cell: (w) => <span className="mu">{lasts(w)}</span> },
];

export function Workloads() {
  const live = useLive();
  const [query, setQuery] = useSearchParams();
  const [, go] = useLocation();
  const narrow = useNarrow();
  const filter = useRef<HTMLInputElement>(null);
  const view = VIEWS.find(([id]) => id === query.get("view")) ?? VIEWS[0]!;
  const text = query.get("q") ?? "";
  const project = query.get("project") ?? "";
  const openId = query.get("w");
  const inScope = useMemo(() => live.workloads.filter((w) => matches(w, text, project)), [live.workloads, text, project]);
  const rows = useMemo(() => inScope.filter(view[3]).sort(attentionFirst), [inScope, view]);
  const opened = openId ? live.workloads.find((w) => w.id === openId) : undefined;

  function set(changes: Record<string, string | null>) {
    setQuery(
      (before) => {
        for (const [key, value] of Object.entries(changes)) value ? before.set(key, value) : before.delete(key);
        return before;
      },
      { replace: "q" in changes },
    );
  }

  useEffect(() => {
    function onKey(e: KeyboardEvent) {
      const field = e.target instanceof HTMLElement && e.target.closest("input, textarea, [role=dialog]");
      if (e.key === "Escape" && openId) set({ w: null });
      else if (!field && e.key === "/") {
        e.preventDefault();
        filter.current?.focus();
      } else if (!field && e.key === "j" && document.activeElement === document.body) {
        document.querySelector<HTMLElement>(".gbody")?.focus();
      }
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  return (
    <>
      <div className="pagehead">
        <h1>Workloads</h1>
        <p className="mu" role="status">
          {answer(inScope, live.state === "loading")}
        </p>
      </div>
      <div className="tabs" role="tablist" aria-label="Saved views">
        {VIEWS.map(([id, name, short, holds]) => (
          <Link key={id} role="tab" aria-selected={id === view[0]} className={id === view[0] ? "on" : ""} href={href(query, { view: id === "all" ? null : id })}>
            {narrow ? short : name}
            <b>{inScope.filter(holds).length}</b>
          </Link>
        ))}
      </div>
      <div className="filters">
        <label className="chip field">
          <Icon name="find" />
          <input ref={filter} aria-label="Filter by name, person or image" placeholder="Filter" value={text} onChange={(e) => set({ q: e.target.value || null })} />
        </label>
        {project && (
          <button type="button" className="chip" onClick={() => set({ project: null })} aria-label={`Remove the filter project ${project}`}>
            Project <b>{project}</b>
            <Icon name="x" />
          </button>
        )}
        <span className="sp" />
        <span className="sm fa">Attention first</span>
      </div>
      <div className={openId ? "split open" : "split"}>
        <Table
          label="Workloads"
          rows={rows}
          columns={COLUMNS}
          keyOf={(w) => w.id}
          selected={openId}
          onSelect={(id) => set({ w: id })}
          onOpen={(id) => set({ w: id })}
          card={(w) => <Card w={w} />}
          empty={<Empty all={live.workloads.length} loading={live.state === "loading"} problem={live.problem} onClear={() => go("/workloads")} />}
        />
        {openId && <Panel key={openId} id={openId} row={opened} onClose={() => set({ w: null })} />}
      </div>
    </>
  );
}

function Card({ w }: { w: Workload }) {
  const line = w.phase === "Pending" && w.place > 0 && w.waiting > 1 ? ` · ${w.place} of ${w.waiting} in line` : "";
  return (
    <>
      <span className="row">
        <b className="me el">{w.name}</b>
        <span className="sp" />
        <span className="mu nw">{lasts(w)}</span>
      </span>
      <span className="row">
        <Pill phase={w.phase} />
        <span className="mu sm el">
          {w.projectName} · {askedShort(w)}
          {line}
        </span>
      </span>
      <span className="sm two">
        {where(w)} <Tags w={w} />
      </span>
    </>
  );
}

const askedShort = (w: Workload): string => (w.requestedGpuMemoryMib ? asked(w) : count(w.requestedGpus, "GPU"));

function Now({ w }: { w: Workload }) {
  const text = where(w);
  return (
    <span className="now">
      <span className="mu el" title={text}>
        {text}
      </span>
      <Tags w={w} />
    </span>
  );
}

function where(w: Workload): string {
  return w.phase === "Running" && w.nodes.length ? (w.nodes.length === 1 ? w.nodes[0]! : count(w.nodes.length, "node")) : w.phaseMessage;
}

function Tags({ w }: { w: Workload }) {
  return (
    <>
      {w.borrowedGpus > 0 && <span className="tag lend gap">{gpus(w.borrowedGpus)} borrowed</span>}
      {w.evictions > 0 && w.phase === "Pending" && <span className="tag wait gap">stopped for others</span>}
      {w.simulated && w.allocatedGpus > 0 && <span className="tag gap">simulated</span>}
    </>
  );
}

function Empty({ all, loading, problem, onClear }: { all: number; loading: boolean; problem: string; onClear: () => void }) {
  if (problem) return <p className="mu">{problem}</p>;
  if (loading) return <p className="fa">Loading …</p>;
  if (all > 0)
    return (
      <p>
        Nothing matches.{" "}
        <button type="button" className="b" onClick={onClear}>
          Clear the filter
        </button>
      </p>
    );
  return (
    <div>
      <p className="st">No workloads yet.</p>
      <p className="mu">Submit a first one:</p>
      <p className="cmd">fairlead submit hello -i python:3.12 -g 1 -- python3 -c 'print("hello")'</p>
    </div>
  );
}

function answer(rows: Workload[], loading: boolean): string {
  if (loading) return "";
  const waiting = rows.filter((w) => w.phase === "Pending").length;
  const attention = rows.filter((w) => ATTENTION.has(w.phase)).length;
  const running = rows.filter((w) => w.phase === "Running").length;
  const parts = [waiting && `${count(waiting, "waits", "wait")}`, attention && `${count(attention, "needs a person", "need a person")}`, `${count(running, "runs", "run")}`];
  return parts.filter(Boolean).join(", ");
}

function matches(w: Workload, text: string, project: string): boolean {
  if (project && w.projectName !== project) return false;
  const t = text.toLowerCase();
  return !t || [w.name, w.submittedBy, w.projectName, ...w.images].some((s) => s.toLowerCase().includes(t));
}

function attentionFirst(a: Workload, b: Workload): number {
  return rank(a) - rank(b) || compare(b.createdAt, a.createdAt) || compare(a.name, b.name);
}

// Times are RFC 3339 UTC, so their texts are in their order; reading them as dates would take most of a sort of 10,000 rows.
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function rank(w: Workload): number {
  const at = ORDER.indexOf(w.phase);
  return at < 0 ? ORDER.length : at;
}

function lasts(w: Workload): string {
  if (ENDED.has(w.phase)) return w.startedAt ? span(w.startedAt, w.completedAt) : "–";
  return w.phase === "Running" && w.startedAt ? span(w.startedAt) : span(w.createdAt);
}

function href(query: URLSearchParams, changes: Record<string, string | null>): string {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
  const text = next.toString();
  return text ? `/workloads?${text}` : "/workloads";
}
