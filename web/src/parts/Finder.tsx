// Finds pages, workloads, projects and nodes among the rows that are here, and shows the command for the chosen line.
import { Modal } from "@mantine/core";
import { useMemo, useState } from "react";
import { useLocation } from "wouter";
import { useLive } from "../data/live";
import { Icon } from "./Icon";

type Found = { id: string; icon: string; text: string; more: string; href: string; command: string };

export function Finder({ opened, onClose, pages }: { opened: boolean; onClose: () => void; pages: { href: string; icon: string; text: string }[] }) {
  const live = useLive();
  const [, go] = useLocation();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const all = useMemo<Found[]>(
    () => [
      ...pages.map((p) => ({ id: p.href, icon: p.icon, text: p.text, more: "page", href: p.href, command: "" })),
      ...live.workloads.map((w) => ({ id: w.id, icon: "list", text: w.name, more: `${w.phase} · ${w.projectName}`, href: `/workloads?w=${w.id}`, command: `fairlead describe ${w.name} -p ${w.projectName}` })),
      ...live.queues.map((q) => ({ id: `${q.kind}/${q.pool}/${q.name}`, icon: "tree", text: q.name, more: q.kind, href: q.kind === "project" ? `/projects?p=${encodeURIComponent(q.name)}` : "/projects", command: `fairlead ${q.kind} list` })),
      ...live.nodes.map((n) => ({ id: n.name, icon: "srv", text: n.name, more: `node · ${n.status}`, href: "/nodes", command: "fairlead node list" })),
    ],
    [live, pages],
  );
  const found = all.filter((f) => f.text.toLowerCase().includes(text.toLowerCase())).slice(0, 12);
  const chosen = found[Math.min(at, found.length - 1)];
  function open(f: Found | undefined) {
    if (!f) return;
    onClose();
    setText("");
    go(f.href);
  }
  return (
    <Modal opened={opened} onClose={onClose} title="Find or do anything" withCloseButton={false} transitionProps={{ duration: 0 }} padding={0} size={560} yOffset="12vh" styles={{ header: { display: "none" } }}>
      <input
        className="findin"
        role="combobox"
        aria-expanded="true"
        aria-controls="found"
        aria-activedescendant={chosen ? `found-${chosen.id}` : undefined}
        aria-label="Find"
        placeholder="Workload, project, node, page"
        value={text}
        data-autofocus
        onChange={(e) => {
          setText(e.target.value);
          setAt(0);
        }}
        onKeyDown={(e) => {
          if (e.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
          else if (e.key === "ArrowUp") setAt(Math.max(at - 1, 0));
          else if (e.key === "Enter") open(chosen);
          else return;
          e.preventDefault();
        }}
      />
      <ul id="found" role="listbox" aria-label="Found" className="found">
        {found.map((f) => (
          <li key={f.id} id={`found-${f.id}`} role="option" aria-selected={f === chosen} className={f === chosen ? "on" : ""} onClick={() => open(f)}>
            <Icon name={f.icon} />
            <span className="el">{f.text}</span>
            <span className="sp" />
            <span className="fa sm">{f.more}</span>
          </li>
        ))}
      </ul>
      <p className="foundcmd mono fa">{found.length === 0 ? "Nothing of that name." : chosen?.command || "Enter opens"}</p>
    </Modal>
  );
}
