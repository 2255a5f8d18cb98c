// Menu left, one bar on top: cluster, finder, live state, theme, user.
import { Menu, Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import { Link, useLocation } from "wouter";
import type { Session } from "../App";
import { get } from "../data/api";
import { type Snapshot, useLive } from "../data/live";
import { needsPerson } from "../data/machines";
import type { Status } from "../data/types";
import { ATTENTION, clock, clockSeconds, count } from "../data/words";
import { Finder } from "./Finder";
import { Icon } from "./Icon";
import { Keys } from "./Keys";
import { useNarrow } from "./narrow";
import { useTheme } from "./theme";

const PAGES = [
  { href: "/workloads", icon: "list", text: "Workloads", key: "w", group: "" },
  { href: "/projects", icon: "tree", text: "Projects", key: "p", group: "Sharing" },
  { href: "/nodes", icon: "srv", text: "Nodes", key: "m", group: "Machines" },
  { href: "/clusters", icon: "shield", text: "Clusters", key: "c", group: "" },
];

export function Frame({ session, onSignOut, children }: { session: Session; onSignOut: () => void; children: ReactNode }) {
  const [path, go] = useLocation();
  const [finding, setFinding] = useState(false);
  const [keys, setKeys] = useState(false);
  const [menu, setMenu] = useState(false);
  const [theme, toggle] = useTheme();
  const narrow = useNarrow();
  const live = useLive();
  const status = useStatus(session.username, live);
  const clusters = status?.clusters ?? [];
  const cluster = clusters.length > 1 ? count(clusters.length, "cluster") : clusters[0]?.name;
  const waiting = live.workloads.filter((w) => w.phase === "Pending").length;
  const attention = live.workloads.filter((w) => ATTENTION.has(w.phase)).length;
  const sick = live.nodes.filter(needsPerson).length;

  useEffect(() => {
    let chord = false;
    function onKey(e: KeyboardEvent) {
      if ((e.ctrlKey || e.metaKey) && e.key === "k") {
        e.preventDefault();
        setFinding(true);
        return;
      }
      const field = e.target instanceof HTMLElement && e.target.closest("input, textarea, select, [role=dialog]");
      if (field || e.ctrlKey || e.metaKey || e.altKey) return;
      const page = chord ? PAGES.find((p) => p.key === e.key) : undefined;
      chord = e.key === "g";
      if (page) go(page.href);
      else if (e.key === "?") setKeys(true);
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [go]);

  const pages = PAGES.map((p) => (
    <div key={p.href}>
      {p.group && <h3>{p.group}</h3>}
      <Link href={p.href} className={path.startsWith(p.href) ? "on" : ""} aria-current={path.startsWith(p.href) ? "page" : undefined} title={p.text}>
        <Icon name={p.icon} />
        <span>{p.text}</span>
        {p.href === "/workloads" && attention + waiting > 0 && <b className={attention ? "x" : "w"}>{attention || waiting}</b>}
        {p.href === "/nodes" && sick > 0 && <b className="x">{sick}</b>}
      </Link>
    </div>
  ));

  return (
    <div className="app">
      <a className="skip" href="#main">
        To the content
      </a>
      <div className="brand">
        <svg viewBox="0 0 20 20" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" aria-hidden="true">
          <circle cx="10" cy="10" r="5.2" />
          <path d="M1.500 7.500h4M14.500 7.500h4M1.500 12.500h4M14.500 12.500h4M5 10h10" />
        </svg>
        <span>Fairlead</span>
      </div>
      <header className="top">
        <button className="b q menu" type="button" aria-label="Pages" onClick={() => setMenu(true)}>
          <Icon name="menu" />
        </button>
        <span className="sm mu where">
          {clusters.length < 2 && "Cluster "}
          <b className="me">{cluster ?? "–"}</b>
          {clusters.some((c) => c.simulated) && <span className="tag wait gap">simulated GPUs</span>}
        </span>
        <span className="sp" />
        <button className="find" type="button" aria-label={narrow ? "Find or do anything" : undefined} onClick={() => setFinding(true)}>
          <Icon name="find" />
          <span className="sp">Find or do anything</span>
          <kbd>Ctrl K</kbd>
        </button>
        <span className="sp" />
        <span className={live.state === "offline" ? "live off" : "live"} role="status">
          {said(live)}
        </span>
        <button className="b q" type="button" onClick={toggle} aria-label={theme === "dark" ? "Light theme" : "Dark theme"}>
          <Icon name="moon" />
        </button>
        <Menu position="bottom-end">
          <Menu.Target>
            <button className="ava" type="button" aria-label={`${session.username.slice(0, 2).toUpperCase()}: signed in as ${session.username}`}>
              {session.username.slice(0, 2).toUpperCase()}
            </button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>
              {session.username}, {session.role}
            </Menu.Label>
            <Menu.Item onClick={() => setKeys(true)}>Keys</Menu.Item>
            <Menu.Item onClick={onSignOut}>Sign out</Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </header>
      <nav className="nav" aria-label="Pages">
        {pages}
        <div className="foot">
          {cluster ?? "No cluster"}
          <br />
          Fairlead {status?.version ?? ""}
        </div>
      </nav>
      <Modal opened={menu} onClose={() => setMenu(false)} title="Pages" closeButtonProps={{ "aria-label": "Close" }} transitionProps={{ duration: 0 }} yOffset={0} xOffset={0} padding={8}>
        <nav className="sheet" aria-label="Pages" onClick={() => setMenu(false)}>
          {pages}
        </nav>
      </Modal>
      <main className="main" id="main" tabIndex={-1}>
        {children}
      </main>
      <Finder opened={finding} onClose={() => setFinding(false)} pages={PAGES} />
      <Keys opened={keys} onClose={() => setKeys(false)} />
    </div>
  );
}

// Asked again each time the stream is back; kept as last known while it is away, and taken away where the reader lost the right to it.
function useStatus(username: string, { state, clustersRevision }: Snapshot): Status | undefined {
  const { data, refetch } = useQuery({ queryKey: ["status", username], queryFn: () => get<Status>("/api/fairlead/v1/status"), enabled: false });
  useEffect(() => {
    if (state === "live") void refetch();
  }, [state, clustersRevision, refetch]);
  return state === "denied" ? undefined : data;
}

function said(live: Snapshot): string {
  if (live.state === "offline") return `Offline since ${clock(live.since)}, data of then`;
  if (live.state === "denied") return "Nothing to show";
  return live.heard ? `Live · ${clockSeconds(live.heard)}` : "Loading";
}
