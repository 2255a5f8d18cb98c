// Each phase has its own shape and word; only what needs a person is tinted.
import { Icon } from "./Icon";

const LOOK: Record<string, [icon: string, tone: string, tinted: boolean]> = {
  Creating: ["start", "acc", false],
  Initializing: ["start", "acc", false],
  Resuming: ["start", "acc", false],
  Updating: ["start", "acc", false],
  Pending: ["wait", "wait", true],
  Running: ["run", "ok", false],
  Degraded: ["degr", "bad", true],
  Failed: ["bad", "bad", true],
  Stopping: ["todo", "done", false],
  Terminating: ["todo", "done", false],
  Deleting: ["todo", "done", false],
  Completed: ["done", "done", false],
  Stopped: ["stop", "done", false],
};

export function Pill({ phase }: { phase: string }) {
  const [icon, tone, tinted] = LOOK[phase] ?? ["unk", "done", false];
  return (
    <span className={`pill ${tone}${tinted ? " t" : ""}`}>
      <Icon name={icon} />
      {phase}
    </span>
  );
}
