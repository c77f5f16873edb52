import { request } from "node:http";

export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** One request to this machine with whatever headers, also those that fetch sets by itself; an upgrade that succeeds is answered 101. */
export function rawRequest(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const asked = request({ host: "127.0.0.1", port, path, method, headers, agent: false }, (response) => {
    let text = "";
    response.setEncoding("utf8").on("data", (part: string) => (text += part));
    response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
  });
  asked.on("error", reject);
  asked.on("upgrade", (_response, socket) => {
    socket.destroy();
    resolve({ status: 101, text: "" });
  });
  asked.end();
  return promise;
}
