import { expect, it } from "vitest";
import { pingText, pongText } from "#src/contract/protocol.ts";
import { aCliHome, failed, linesOf, type CliHome } from "#harness/machine/cli-home.ts";
import { RealServer } from "#harness/edge/real-server.ts";

interface Asked {
  readonly id: number;
  readonly method: string;
  readonly params: { readonly watch: string; readonly after: number };
}

/** A coordinator whose only key is set anew with each connection. */
async function aServer(): Promise<RealServer> {
  const server = await RealServer.listen();
  server.answer = (_request, response) => response.end('{"entries":[],"cursor":null,"revision":7}');
  server.onText = (text, connection) => {
    if (text === pingText) return connection.send(pongText);
    const { id, method, params } = JSON.parse(text) as Asked;
    if (method !== "state.watch") return;
    const { watch, after } = params;
    const tell = (message: object): void => connection.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
    tell({ id, result: { watch, revision: after } });
    const revision = after + 1;
    const change = { revision, group: revision, key: "k", op: "set", value: `v${revision}`, by: null };
    tell({ method: "state.changes", params: { watch, after, changes: [change], revision } });
  };
  return server;
}

/** Runs until so many lines stand on stdout, then as if Ctrl-C was pressed; `onLine` sees each. */
async function watched(
  home: CliHome,
  command: string,
  lines: number,
  onLine: (line: number) => void = () => undefined,
): Promise<{ code: number; out: string }> {
  const stop = new AbortController();
  let [out, seen] = ["", 0];
  const stdout = (text: string): void => {
    out += text;
    onLine((seen += 1));
    if (seen === lines) stop.abort();
  };
  const { code } = await home.shimWith({ stdout, interrupted: () => stop.signal }, command);
  return { code, out };
}

it("[CL31] on the edge a watch is told over a socket, goes on behind a lost connection, and ends with 0 at Ctrl-C", async () => {
  const home = aCliHome();
  const server = await aServer();
  home.join(server.url);
  const cut = (line: number): void => {
    if (line < 3) server.connections.at(-1)?.socket.destroy();
  };
  const { code, out } = await watched(home, "watch", 3, cut);
  expect([code, out]).toEqual([0, '8  set  k  "v8"\n9  set  k  "v9"\n10  set  k  "v10"\n']);
  const http = server.seen.filter(({ headers }) => headers.upgrade === undefined);
  expect(http.map(({ url }) => url.replace(/\?.*/, ""))).toEqual(["/v1/workspaces/team/state/list"]);
});

it("[CL31] with --json each change is a line, and the last line is where to go on", async () => {
  const home = aCliHome();
  const server = await aServer();
  home.join(server.url);
  const { code, out } = await watched(home, "watch --json", 1);
  expect([code, linesOf(out)]).toMatchObject([0, [{ key: "k" }, { revision: 8 }]]);
});

it("[CL158] a coordinator that will never answer ends it with 1", async () => {
  const home = aCliHome();
  const server = await aServer();
  server.onText = (_text, connection) => connection.close(4001, "the token was revoked");
  home.join(server.url);
  const ended = await home.shimWith({ interrupted: () => new AbortController().signal }, "watch");
  expect(ended).toMatchObject(failed(1, "the token was revoked"));
});
