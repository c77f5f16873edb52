import { createServer, request } from "node:http";
import { serveInTest } from "./local-server.ts";

/**
 * Adds a token to each request: for programs that can send none of their own.
 * @returns its address
 */
export async function bearerProxy(target: string, token: string): Promise<string> {
  const { port, hostname } = new URL(target);
  const server = createServer((from, to) => {
    const headers = { ...from.headers, authorization: `Bearer ${token}` };
    const passed = request({ hostname, port, method: from.method, path: from.url, headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(to);
    });
    passed.on("error", () => to.destroy());
    from.pipe(passed);
  });
  return serveInTest(server);
}
