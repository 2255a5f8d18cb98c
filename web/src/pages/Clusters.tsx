// Clusters: is each connected, has it what it needs, what did its daily checks find, and what is new.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { get } from "../data/api";
import { useLive } from "../data/live";
import type { ClusterFinding, ClusterStanding } from "../data/types";
import { count, span } from "../data/words";
import { Icon } from "../parts/Icon";

// Icon, look and words of each state; a state that a newer control plane knows is shown by its own word.
const LOOK: Record<string, [icon: string, look: string, text: string]> = {
  Connected: ["run", "ok", "Connected"],
  WaitingToConnect: ["wait", "wait t", "Waits to connect"],
  Disconnected: ["bad", "bad t", "Disconnected"],
  MissingPrerequisites: ["degr", "bad t", "Missing prerequisites"],
  ServiceIssues: ["degr", "bad t", "Service issues"],
};
const RENEWED = 30_000;

export function Clusters() {
  const live = useLive();
  const { data, error } = useQuery({
    queryKey: ["clusters", live.clustersRevision, live.state],
    queryFn: () => get<{ clusters: ClusterStanding[] }>("/api/fairlead/v1/clusters"),
    placeholderData: keepPreviousData,
    refetchInterval: RENEWED,
  });
  const clusters = live.state === "denied" ? [] : (data?.clusters ?? []);
  return (
    <>
      <div className="pagehead">
        <h1>Clusters</h1>
        <p className="mu" role="status">
          {data ? answer(clusters) : ""}
        </p>
      </div>
      {error && <p className="note wait">{error.message}</p>}
      {data && clusters.length === 0 && (
        <p className="pad mu">
          There is no cluster yet. <code>fairlead cluster create NAME</code> makes one.
        </p>
      )}
      {clusters.map((c) => (
        <Cluster key={c.id} cluster={c} />
      ))}
    </>
  );
}

function Cluster({ cluster: c }: { cluster: ClusterStanding }) {
  const [icon, look, text] = LOOK[c.state] ?? ["unk", "done", c.state];
  return (
    <section className="card cluster" aria-label={`Cluster ${c.name}`}>
      <header>
        <h2>{c.name}</h2>
        <span className={`pill ${look}`}>
          <Icon name={icon} />
          {text}
        </span>
        {c.since && c.state !== "Connected" && <span className="mu">for {span(c.since)}</span>}
        <span className="sp" />
        <span className="sm fa">
          {[c.kubernetesVersion && `Kubernetes ${c.kubernetesVersion}`, c.agentVersion && `agent ${c.agentVersion}`].filter(Boolean).join(" · ")}
        </span>
      </header>
      {c.findings.length === 0 && c.message && <p className="says">{c.message}</p>}
      {c.conditions
        .filter((each) => each.type === "ServicesReady" && each.status !== "True")
        .map((each) => (
          <p key={each.type} className="says">
            <b className="me">The product's own parts:</b> {each.message}
          </p>
        ))}
      {c.findings.length > 0 && (
        <ul aria-label="What its checks found">
          {c.findings.map((f) => (
            <Found key={f.code} finding={f} />
          ))}
        </ul>
      )}
      {c.news.length > 0 && (
        <div className="says">
          <h3>New since the check {span(c.newsSince)} ago</h3>
          <ul aria-label="What is new">
            {c.news.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
      )}
      <p className="says sm fa">{c.checkedAt ? `Prerequisites checked ${span(c.checkedAt)} ago.` : "Its prerequisites have not been checked since it was installed."}</p>
    </section>
  );
}

function Found({ finding: f }: { finding: ClusterFinding }) {
  const [icon, look] = f.counts === "fail" ? ["bad", "bad t"] : f.counts === "warn" ? ["warn", "wait t"] : ["unk", "done"];
  return (
    <li className="cdi">
      <span className="row">
        <span className={`pill ${look}`}>
          <Icon name={icon} />
          {f.verdict}
        </span>
        <Link className="n" href={`/findings/${f.code}`}>
          {f.title}
        </Link>
        <span className="sp" />
        <span className="fa nw">{f.since ? `for ${span(f.since)}` : ""}</span>
      </span>
      <span>{f.seen}</span>
      {f.accepted && <span className="mu">Accepted: {f.accepted}</span>}
      {f.remedy && <code className="cmd">{f.remedy}</code>}
    </li>
  );
}

function answer(clusters: ClusterStanding[]): string {
  const bad = clusters.filter((c) => c.state !== "Connected").length;
  if (!clusters.length) return "";
  if (bad) return `${count(bad, "cluster needs", "clusters need")} somebody.`;
  return clusters.length === 1 ? "The cluster is connected and has what it needs." : `All ${clusters.length} are connected and have what they need.`;
}
