// What a check is about, what it may find, and what to do then: the same text as the reference.
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "wouter";
import { get } from "../data/api";
import type { FindingPage } from "../data/types";

export function Finding() {
  const { code } = useParams<{ code: string }>();
  const { data, error } = useQuery({
    queryKey: ["finding", code],
    queryFn: () => get<FindingPage>(`/api/fairlead/v1/findings/${encodeURIComponent(code)}`),
    retry: false,
  });
  return (
    <>
      <div className="pagehead">
        <h1>{data?.title ?? code}</h1>
        <p className="mu">
          <code>{code}</code>
        </p>
        <span className="sp" />
        <Link href="/clusters">All clusters</Link>
      </div>
      {error && <p className="note wait">{error.message}</p>}
      {data && (
        <section className="card cluster" aria-label="What it means">
          <p className="says">{data.text}</p>
          <dl className="dl says">
            <dt>Requirement</dt>
            <dd>{data.row}</dd>
            <dt>Expected</dt>
            <dd>{data.expected}</dd>
            <dt>Verdicts</dt>
            <dd>{data.rules}</dd>
            {data.disables.length > 0 && (
              <>
                <dt>Takes away</dt>
                <dd>{data.disables.join(", ")}</dd>
              </>
            )}
          </dl>
          <h3 className="says">What it may find</h3>
          <dl className="dl says">
            {Object.entries(data.causes).map(([cause, meaning]) => (
              <div key={cause} style={{ display: "contents" }}>
                <dt>
                  <code>{cause}</code>
                </dt>
                <dd>{meaning}</dd>
              </div>
            ))}
          </dl>
        </section>
      )}
    </>
  );
}
