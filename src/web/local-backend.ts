import { keep, keptSecret, post, storedAs } from "./local-post.ts";
import { refused, toAnswer, type Answer, type Backend } from "./backend.ts";

const otherTabsMs = 300;
async function ask<T>(path: string, body: object): Promise<Answer<T>> {
  try {
    return await toAnswer<T>(await post(path, body));
  } catch {
    return refused("unreachable", "`shim up --web` does not answer: has it ended?");
  }
}

/** Shared by the tabs of this port only. Null asks for the secret. */
const tabs = new BroadcastChannel(storedAs);
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has one origin
const send = (data: string | null): void => tabs.postMessage(data);

/** @param token of the link, if one was opened. @returns why this tab is not signed in */
export async function signIn(token?: string): Promise<string | null> {
  const answer = token === undefined ? null : await ask<{ secret: string }>("/api/sign-in", { token });
  const { promise, resolve } = Promise.withResolvers<string>();
  tabs.addEventListener("message", ({ data }) =>
    data === null ? keptSecret() && send(keptSecret()) : resolve(String(data)),
  );
  if (answer?.ok) keep(answer.value.secret);
  else if (keptSecret() === "") {
    send(null);
    setTimeout(() => resolve(""), otherTabsMs);
    keep(await promise);
  }
  return answer?.ok === false && keptSecret() === "" ? answer.error.message : null;
}

/** The terminal prints a link, unless one that it has printed is still good. */
export function requestLink(): void {
  keep("");
  void ask("/api/sign-in", {});
}

export const localBackend: Backend = {
  kind: "machine",
  canAnswer: true,
  call: (name, input, requestId) => ask("/api/call", { name, input, ...(requestId ? { requestId } : {}) }),
  follow(onChange, onState, end) {
    const begin = async (): Promise<void> => (await import("./local-live.ts")).followHere(post, onChange, onState, end);
    // Its process may end before the page has all of its files.
    begin().catch(() => onState({ isLive: false, since: null, why: "shim up --web does not answer: open it again" }));
  },
  async signOut() {
    await ask("/api/sign-out", {});
    keep("");
  },
};
