import { useEffect, useState } from "react";
import { Link, Redirect, Route, Switch } from "wouter";
import { Problem, call, get } from "./data/api";
import { start, stop } from "./data/live";
import { Frame } from "./parts/Frame";
import { Clusters } from "./pages/Clusters";
import { Finding } from "./pages/Finding";
import { CommandLine } from "./pages/CommandLine";
import { Nodes } from "./pages/Nodes";
import { Projects } from "./pages/Projects";
import { SignIn } from "./pages/SignIn";
import { Workloads } from "./pages/Workloads";

export type Session = { username: string; role: string };

export function App() {
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  useEffect(() => void open().then(setSession), []);
  useEffect(() => {
    if (!session) return;
    start();
    return stop;
  }, [session]);
  if (session === undefined) return <p className="pad fa">Opening …</p>;
  if (session === null) return <SignIn onSession={setSession} />;
  return (
    <Frame session={session} onSignOut={() => void call("DELETE", "/api/fairlead/v1/session").then(() => setSession(null))}>
      <Switch>
        <Route path="/workloads" component={Workloads} />
        <Route path="/projects" component={Projects} />
        <Route path="/nodes" component={Nodes} />
        <Route path="/clusters" component={Clusters} />
        <Route path="/findings/:code" component={Finding} />
        <Route path="/cli">
          <CommandLine session={session} />
        </Route>
        <Route path="/">
          <Redirect to="/workloads" replace />
        </Route>
        <Route component={NoPage} />
      </Switch>
    </Frame>
  );
}

function NoPage() {
  return (
    <div className="pad">
      <h1>There is no such page.</h1>
      <p>
        <Link href="/workloads">All workloads</Link>
      </p>
    </div>
  );
}

// A printed link signs in once: its key is taken out of the address before anything else is done with it.
async function open(): Promise<Session | null> {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) history.replaceState(null, "", location.pathname + location.search);
  try {
    if (key) return await call<Session>("POST", "/api/fairlead/v1/session/key", { key });
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 403) throw error;
  }
  try {
    return await get<Session>("/api/fairlead/v1/session");
  } catch {
    return null;
  }
}
