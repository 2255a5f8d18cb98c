import { useState, type FormEvent } from "react";
import type { Session } from "../App";
import { Problem, call } from "../data/api";

export function SignIn({ onSession }: { onSession: (s: Session) => void }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  async function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    try {
      onSession(await call<Session>("POST", "/api/fairlead/v1/session", { username: form.get("username"), password: form.get("password") }));
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, String(error), "", ""));
    }
  }
  return (
    <main className="signin">
      <form className="card" onSubmit={submit}>
        <h1>Fairlead</h1>
        <p className="mu">Sign in to see what runs, what waits, and why.</p>
        <div>
          <label htmlFor="username">User name</label>
          <input className="in" id="username" name="username" defaultValue="admin" autoComplete="username" required />
        </div>
        <div>
          <label htmlFor="password">Password</label>
          <input className="in" id="password" name="password" type="password" autoComplete="current-password" required autoFocus />
        </div>
        {problem && (
          <p role="alert" className="bad">
            {problem.message} {problem.details}
          </p>
        )}
        <button className="b p" type="submit">
          Sign in
        </button>
        <p className="hint">On this machine, <code>fairlead up</code> prints a link that signs in once, and where the password is.</p>
      </form>
    </main>
  );
}
