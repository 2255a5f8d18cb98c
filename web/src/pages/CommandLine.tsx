// Lets a `fairlead` on a command line act as whoever is signed in: the code goes to it by itself where it listens, else by hand.
import { useState } from "react";
import type { Session } from "../App";
import { Problem, call } from "../data/api";

export function CommandLine({ session }: { session: Session }) {
  const [code, setCode] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const asked = new URLSearchParams(location.search);
  const challenge = asked.get("challenge") ?? "";
  const port = Number(asked.get("port"));
  async function allow() {
    try {
      const made = await call<{ code: string }>("POST", "/api/fairlead/v1/session/codes", { challenge });
      if (port > 0 && port < 65536) location.assign(`http://127.0.0.1:${port}/?${new URLSearchParams({ code: made.code, state: asked.get("state") ?? "" })}`);
      else setCode(made.code);
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, String(error), "", ""));
    }
  }
  return (
    <div className="pad command">
      <h1>Sign in on the command line</h1>
      {code ? (
        <>
          <p>Type this code where <code>fairlead sign-in</code> asks for it. It works once, for five minutes.</p>
          <p className="cmd" data-code>
            {code}
          </p>
          <p className="mu">Tell it nobody: whoever has it and that command acts as you.</p>
        </>
      ) : (
        <>
          <p>
            The command <code>fairlead sign-in</code> asks to act as <b>{session.username}</b> ({session.role}) for some hours.
          </p>
          <p className="mu">Allow it only if you typed that command yourself just now.</p>
          {problem && (
            <p role="alert" className="bad">
              {problem.message} {problem.details}
            </p>
          )}
          <p>
            <button className="b p" type="button" disabled={!challenge} onClick={() => void allow()}>
              Allow
            </button>
          </p>
        </>
      )}
    </div>
  );
}
