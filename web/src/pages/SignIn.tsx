import { useEffect, useState, type FormEvent } from "react";
import type { Session } from "../App";
import { Problem, call, get } from "../data/api";

type Ways = { provider?: { name: string; href: string }; problem?: { message: string; details: string } };

export function SignIn({ onSession }: { onSession: (s: Session) => void }) {
  const [problem, setProblem] = useState<{ message: string; details: string } | null>(null);
  const [provider, setProvider] = useState<Ways["provider"]>();
  useEffect(() => {
    const told = ({ provider, problem }: Ways) => {
      setProvider(provider);
      if (problem) setProblem(problem);
      if (!provider) document.getElementById("password")?.focus();
    };
    get<Ways>("/api/fairlead/v1/sign-in").then(told, setProblem);
  }, []);
  async function submit(e: FormEvent<HTMLFormElement>) {
    e.preventDefault();
    const form = new FormData(e.currentTarget);
    try {
      onSession(await call<Session>("POST", "/api/fairlead/v1/session", { username: form.get("username"), password: form.get("password") }));
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(0, String(error), "", ""));
    }
  }
  const place = encodeURIComponent(location.pathname + location.search);
  return (
    <main className="signin">
      <form className="card" onSubmit={submit}>
        <h1>Fairlead</h1>
        <p className="mu">Sign in to see what runs, what waits, and why.</p>
        {problem && (
          <p role="alert" className="bad">
            {problem.message} {problem.details}
          </p>
        )}
        {provider && (
          <>
            <a className="b p" href={`${provider.href}?next=${place}`}>
              Sign in with {provider.name}
            </a>
            <p className="or mu">or with an account of this server</p>
          </>
        )}
        <div>
          <label htmlFor="username">User name</label>
          <input className="in" id="username" name="username" defaultValue="admin" autoComplete="username" required />
        </div>
        <div>
          <label htmlFor="password">Password</label>
          <input className="in" id="password" name="password" type="password" autoComplete="current-password" required />
        </div>
        <button className={provider ? "b" : "b p"} type="submit">
          Sign in
        </button>
        {provider ? (
          <p className="hint">The local administrator, admin, gets in with its password also while {provider.name} is away.</p>
        ) : (
          <p className="hint">On this machine, <code>fairlead up</code> prints a link that signs in once, and where the password is.</p>
        )}
      </form>
    </main>
  );
}
