import { createServer, request } from "node:http";
import { text } from "node:stream/consumers";
import { serveInTest } from "./local-server.ts";

/**
 * Adds a token to each request: for programs that can send none of their own.
 *
 * @param edit changes the body of a request
 * @returns its address
 */
export async function bearerProxy(target: string, token: string, edit?: (body: string) => string): Promise<string> {
  const { port, hostname } = new URL(target);
  const server = createServer((from, to) => {
    const headers = { ...from.headers, authorization: `Bearer ${token}` };
    if (edit) delete headers["content-length"];
    const passed = request({ hostname, port, method: from.method, path: from.url, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    passed.on("error", () => to.destroy());
    if (edit) void text(from).then((body) => passed.end(edit(body)));
    else from.pipe(passed);
  });
  return serveInTest(server);
}
