// One workload beside the list: live phase, why it waits, pods, log, what happened.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { Problem, call, get } from "../data/api";
import { useLive } from "../data/live";
import type { Explanation, Pod, Workload, WorkloadDetail } from "../data/types";
import { askedInFull, poolOf, sentenceOf, useOf } from "../data/sharing";
import { ENDED, clock, count, gpus, span } from "../data/words";
import { Icon } from "../parts/Icon";
import { Pill } from "../parts/Pill";
import { QuotaBar } from "../parts/QuotaBar";
import { Log } from "./Log";

const TABS = ["Overview", "Pods", "Log", "Spec"] as const;
type Tab = (typeof TABS)[number];

export function Panel({ id, row, onClose }: { id: string; row: Workload | undefined; onClose: () => void }) {
  const [tab, setTab] = useState<Tab>("Overview");
  const [explains, setExplains] = useState(false);
  const live = useLive();
  const detail = useQuery({ queryKey: ["workload", id, row?.phase, row?.phaseUpdatedAt], queryFn: () => get<WorkloadDetail>(`/api/v1/workloads/${id}`), placeholderData: (old) => old });
  const pods = useQuery({ queryKey: ["pods", id, live.podsRevision], queryFn: () => get<{ pods: Pod[] }>(`/api/v1/workloads/${id}/pods`), placeholderData: (old) => old });
  const w = row ?? detail.data;

  useEffect(() => {
    function onKey(e: KeyboardEvent) {
      if (e.target instanceof HTMLElement && e.target.closest("input, textarea, [role=dialog]")) return;
      if (e.key === "e") setExplains(true);
      if (e.key === "l") setTab("Log");
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  if (!w)
    return (
      <aside className="pn" aria-label="Workload">
        <p className="pad fa">{detail.isError ? "There is no such workload, or it was deleted." : "Loading …"}</p>
        <div className="pad">
          <button type="button" className="b" onClick={onClose}>
            Close
          </button>
        </div>
      </aside>
    );
  return (
    <aside className="pn" aria-label={`Workload ${w.name}`}>
      <div className="pnhead">
        <Pill phase={w.phase} />
        <h2 className="el" title={w.name}>
          {w.name}
        </h2>
        <Acts w={w} />
        <button type="button" className="b q" aria-label="Close" onClick={onClose}>
          <Icon name="x" />
        </button>
      </div>
      <p className="sm mu pnsub">
        {w.type} · {w.projectName} · {w.submittedBy || "made in the cluster"} · asked {clock(w.createdAt)}
        {w.simulated && <span className="tag gap">simulated GPUs</span>}
      </p>
      <div className="pnscroll">
        {w.phase === "Pending" && <Why w={w} explains={explains} onExplain={() => setExplains(true)} />}
        {w.phase === "Failed" && <section className="ans badly">{w.phaseMessage}</section>}
        <div className="tabs" role="tablist" aria-label="Parts">
          {TABS.map((t) => (
            <button key={t} type="button" role="tab" aria-selected={t === tab} className={t === tab ? "on" : ""} onClick={() => setTab(t)}>
              {t}
              {t === "Pods" && <b>{pods.data?.pods.length ?? ""}</b>}
            </button>
          ))}
        </div>
        <div className="pnbody" role="tabpanel" aria-label={tab} tabIndex={0}>
          {tab === "Overview" && <Overview w={w} history={detail.data?.history ?? []} />}
          {tab === "Pods" && <Pods pods={pods.data?.pods ?? []} />}
          {tab === "Log" && <Log id={id} ended={ENDED.has(w.phase)} started={w.startedAt !== null} stopped={w.phase === "Stopped"} />}
          {tab === "Spec" && <pre className="spec">{JSON.stringify(detail.data?.spec ?? {}, null, 2)}</pre>}
        </div>
      </div>
      <div className="pnfoot">
        <code className="cmd">
          fairlead {w.phase === "Pending" ? "explain" : "describe"} {w.name} -p {w.projectName}
        </code>
      </div>
    </aside>
  );
}

function Why({ w, explains, onExplain }: { w: Workload; explains: boolean; onExplain: () => void }) {
  const found = useQuery({ queryKey: ["explain", w.id, w.phaseMessage], queryFn: () => get<Explanation>(`/api/fairlead/v1/workloads/${w.id}/explain`), enabled: explains && !w.nextTryAt });
  const [first, ...others] = found.data?.reasons.length ? found.data.reasons : w.reasons;
  const place = line(found.data?.place ?? w.place, found.data?.waiting ?? w.waiting);
  return (
    <section className="ans" aria-label="Why it waits" aria-live="polite">
      <p className="answer">{first?.message ?? w.phaseMessage}.</p>
      {(place || first) && (
        <p>
          {place} {first && <code>{first.code}</code>}
        </p>
      )}
      {others.length > 0 && (
        <ul className="causes" aria-label="Also">
          {others.map((r) => (
            <li key={r.code + r.message}>
              {r.message}. <code>{r.code}</code>
            </li>
          ))}
        </ul>
      )}
      {!explains && !w.nextTryAt && (
        <button type="button" className="b p" onClick={onExplain}>
          Why, and what would start it
        </button>
      )}
      {found.isLoading && <p>Asking the scheduler …</p>}
      {found.isError && <p className="bad">{found.error instanceof Problem ? `${found.error.message} ${found.error.details}` : "No answer."}</p>}
      {found.data && (
        <>
          <h3>What would start it</h3>
          {found.data.fixes.length === 0 && <p>No single change would. It may need several, or others to end.</p>}
          <ul className="fixes">
            {found.data.fixes.map((f) => (
              <li key={f.text}>
                <span>{f.text}</span>
                {f.victims.length > 0 && <span className="fa">stops {f.victims.join(", ")}</span>}
              </li>
            ))}
          </ul>
          <p className="sm">Each was tried with the scheduler's own code: on the present state, or, where room is waited for, on its nodes without other work.</p>
        </>
      )}
    </section>
  );
}

function line(place: number, waiting: number): string {
  if (!place) return "";
  if (waiting === 1) return "Nobody else is in its line.";
  return place === 1 ? `First of ${waiting} in line.` : `${place} of ${waiting} in line.`;
}

function Overview({ w, history }: { w: Workload; history: WorkloadDetail["history"] }) {
  const live = useLive();
  const queue = live.queues.find((q) => q.kind === "project" && q.name === w.projectName && q.pool === poolOf(w));
  const use = queue ? useOf(queue) : undefined;
  const max = use ? Math.max(1, use.used + use.waiting, use.deserved, use.fair, use.limit) : 1;
  const amount = askedInFull(w);
  const each = w.requestedPods.number > 1 ? `${w.requestedPods.number} pods, ${amount}, all at once` : amount;
  return (
    <>
      <section className="ps">
        <dl className="dl">
          <dt>Asks for</dt>
          <dd>{each}</dd>
          {w.requestedGpuMemoryMib > 0 && w.allocatedGpus > 0 && (
            <>
              <dt>Holds</dt>
              <dd>{gpus(w.allocatedGpus)} of a GPU</dd>
            </>
          )}
          <dt>Runs on</dt>
          <dd>{w.nodes.join(", ") || "–"}</dd>
          <dt>Node pool</dt>
          <dd>{poolOf(w)}</dd>
          <dt>Priority</dt>
          <dd>
            {w.priorityClassName} <span className="fa">· {w.preemptible ? "may be stopped for others" : "is not stopped for others"}</span>
          </dd>
          <dt>Image</dt>
          <dd className="mono el" title={w.images[0]}>
            {w.images[0] ?? "–"}
          </dd>
          {w.startedAt && (w.completedAt || w.runningPods > 0) && (
            <>
              <dt>{w.completedAt ? "Ran for" : "Runs for"}</dt>
              <dd>{span(w.startedAt, w.completedAt)}</dd>
            </>
          )}
          {w.exitCode !== null && (
            <>
              <dt>Exit code</dt>
              <dd>{w.exitCode}</dd>
            </>
          )}
          {w.evictions > 0 && (
            <>
              <dt>Stopped</dt>
              <dd>{count(w.evictions, "time")} for others</dd>
            </>
          )}
        </dl>
      </section>
      {use && (
        <section className="ps">
          <h3 className="row">
            <span className="sp">
              {w.projectName} on {queue?.pool}
            </span>
            <Link href={`/projects?p=${encodeURIComponent(w.projectName)}`}>Project</Link>
          </h3>
          <QuotaBar use={use} max={max} name={w.projectName} />
          <p className="sm fa">{sentenceOf(use)}</p>
        </section>
      )}
      <section className="ps">
        <h3>What happened</h3>
        <ol className="tl">
          {history.map((h) => (
            <li key={h.time + h.message} className={h.type === "evicted" || h.type === "failed" ? "wait" : ""}>
              <span title={h.time}>{clock(h.time)}</span>
              <span>{h.message}</span>
            </li>
          ))}
        </ol>
      </section>
    </>
  );
}

function Pods({ pods }: { pods: Pod[] }) {
  if (!pods.length) return <p className="pad fa">No pods: it is being made, is suspended, or has been cleared.</p>;
  return (
    <ul className="pods">
      {pods.map((p) => (
        <li key={p.id}>
          <b className="me">{p.name}</b>
          <span className="mu">
            {p.k8sPhase}
            {p.nodeName ? ` on ${p.nodeName}` : ""}
            {p.devices.length ? `, GPU ${p.devices.join(", ")}` : ""}
            {p.exitCode !== null ? `, exit code ${p.exitCode}` : ""}
          </span>
          {p.devices.length > 0 && <span className="fa sm">
              isolation of its share: {p.enforcement}
              {p.enforcementReason && `, because ${p.enforcementReason}`}
            </span>}
          {p.message && <span className="sm bad">{p.message}</span>}
        </li>
      ))}
    </ul>
  );
}

function Acts({ w }: { w: Workload }) {
  const queries = useQueryClient();
  const [problem, setProblem] = useState("");
  const [sure, setSure] = useState(false);
  async function act(method: string, verb: string) {
    try {
      await call(method, `/api/v1/workloads/any/${w.id}${verb}`);
      setProblem("");
      void queries.invalidateQueries({ queryKey: ["workload", w.id] });
    } catch (error) {
      setProblem(error instanceof Problem ? `${error.message} ${error.details}` : String(error));
    }
  }
  const isOffline = useLive().state === "offline";
  const why = isOffline ? "Offline: nothing can be changed now" : undefined;
  return (
    <span className="acts">
      {problem && (
        <span role="alert" className="bad sm">
          {problem}
        </span>
      )}
      {w.suspended || w.phase === "Stopped" ? (
        <button type="button" className="b" disabled={isOffline} title={why} onClick={() => void act("POST", "/resume")}>
          Resume
        </button>
      ) : (
        w.actionsSupport.suspend && (
          <button type="button" className="b" disabled={isOffline} title={why} onClick={() => void act("POST", "/suspend")}>
            Suspend
          </button>
        )
      )}
      <button type="button" className={sure ? "b danger" : "b"} disabled={isOffline} title={why} onBlur={() => setSure(false)} onClick={() => (sure ? void act("DELETE", "") : setSure(true))}>
        {sure ? `Delete ${w.name}` : "Delete"}
      </button>
    </span>
  );
}
