// A pod's output, followed until one scrolls up.
import { useEffect, useRef, useState } from "react";
import { Problem, followLog } from "../data/api";

const MOST = 400_000;

// A suspended workload shows the log of its last run; any other one can show that of the run before.
export function Log({ id, ended, started, stopped }: { id: string; ended: boolean; started: boolean; stopped: boolean }) {
  const [wanted, setWanted] = useState(false);
  const previous = wanted || stopped;
  const [text, setText] = useState("");
  const [note, setNote] = useState("");
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const abort = new AbortController();
    setText("");
    setNote("");
    followLog(id, previous, (more) => setText((t) => (t + more).slice(-MOST)), abort.signal).then(
      () => setNote(stopped ? "Suspended: this is the log of its last run." : previous ? "End of the run before." : "End of the log."),
      (error) => {
        if (!abort.signal.aborted) setNote(error instanceof Problem ? `${error.message} ${error.details}` : "The log was cut.");
      },
    );
    return () => abort.abort();
  }, [id, started, ended, previous, stopped]);
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, follow]);
  return (
    <div className="log">
      <pre
        ref={box}
        tabIndex={0}
        aria-label="Log"
        onScroll={(e) => {
          const el = e.currentTarget;
          setFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 24);
        }}
      >
        {text}
      </pre>
      <p className="sm fa" role="status">
        {note || (follow ? "Following." : "Not following: scroll to the end to follow again.")}{" "}
        {!stopped && started && (
          <button type="button" className="b" aria-pressed={wanted} onClick={() => setWanted(!wanted)}>
            {wanted ? "Present run" : "Run before"}
          </button>
        )}
      </p>
    </div>
  );
}
