// Calls to the API. A refusal becomes a Problem with the server's own words.
export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details: string,
    readonly reason: string,
  ) {
    super(message);
  }
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem(0, "The server does not answer.", "It may be stopped, or the network is down.", "offline");
  }
  const text = await answer.text();
  const document = text ? JSON.parse(text) : null;
  if (!answer.ok) {
    throw new Problem(answer.status, document?.message ?? `The server answered ${answer.status}.`, document?.details ?? "", document?.reason ?? "");
  }
  return document as T;
}

export const get = <T>(path: string) => call<T>("GET", path);

export async function followLog(id: string, previous: boolean, onText: (text: string) => void, signal: AbortSignal): Promise<void> {
  const query = new URLSearchParams({ tail: "2000", ...(previous ? { previous: "true" } : { follow: "true" }) });
  const answer = await fetch(`/api/fairlead/v1/workloads/${id}/logs?${query}`, { signal });
  if (!answer.ok || !answer.body) {
    const document = await answer.json().catch(() => null);
    throw new Problem(answer.status, document?.message ?? "There is no log.", document?.details ?? "", document?.reason ?? "");
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}
