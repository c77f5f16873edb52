import { createHash } from "node:crypto";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { connect, createServer as createRelay } from "node:net";
import type { AddressInfo, Server as RelayServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text as textFrom } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { once } from "node:events";

export type Seen = Readonly<{ method: string; url: string; headers: IncomingHttpHeaders; body: string }>;

/** A server on a port of this machine that speaks HTTP, and as much of WebSocket (RFC 6455) as short texts need. */
export class RealServer {
  readonly seen: Seen[] = [];
  answer: (request: Seen, response: ServerResponse) => void = (_request, response) => void response.end("{}");
  onText: (text: string, connection: RealConnection) => void = () => undefined;
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
    server.on("request", (request, response) => void this.#serve(request, response));
    server.on("upgrade", (request, socket) => this.#upgrade(request, socket));
  }

  static async answering(...answers: (string | null)[]): Promise<RealServer> {
    const server = await RealServer.listen();
    server.answer = (_request, response) => {
      const text = answers.shift() ?? null;
      if (text === null) response.destroy();
      else response.writeHead(text.includes("error") ? 409 : 200).end(text);
    };
    return server;
  }

  get requestIds(): unknown[] {
    return this.seen.map(({ body }) => (JSON.parse(body) as { requestId?: unknown }).requestId);
  }

  static async listen(socket?: string): Promise<RealServer> {
    const server = createServer();
    return new RealServer(server, await servedInTest(server, socket));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.answer(this.#see(request, await textFrom(request)), response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    this.#see(request, "");
    onTestFinished(() => void socket.destroy());
    const key = `${request.headers["sec-websocket-key"] ?? ""}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
    socket.write(`${head.join("\r\n")}\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    const connection = connectionOf(socket);
    socket.on("data", (data: Buffer) => {
      // One masked frame of less than 126 bytes: a text, or the close.
      const text = data.subarray(6).map((byte, at) => byte ^ (data[2 + (at % 4)] ?? 0));
      if (data[0] === 0x81) this.onText(Buffer.from(text).toString(), connection);
    });
  }

  #see(request: IncomingMessage, body: string): Seen {
    const { method = "", url = "", headers } = request;
    const seen = { method, url, headers, body };
    this.seen.push(seen);
    return seen;
  }
}

type RealConnection = ReturnType<typeof connectionOf>;

const frame = (first: number, payload: Buffer) => Buffer.concat([Buffer.from([first, payload.length]), payload]);

function connectionOf(socket: Duplex) {
  return {
    send: (text: string): void => void socket.write(frame(0x81, Buffer.from(text))),
    /** The head of a text of so many bytes, of which none is sent. */
    announce: (bytes: number): void => {
      const head = Buffer.from([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
      head.writeBigUInt64BE(BigInt(bytes), 2);
      socket.write(head);
    },
    close: (code: number, reason: string): void =>
      void socket.end(frame(0x88, Buffer.from([code >> 8, code & 0xff, ...Buffer.from(reason)]))),
  };
}

/** A stretch of network that can be cut: what is under way stays open on both sides, and nothing goes through any more. */
export class CutProxy {
  url = "";
  #isCut = false;
  readonly #sockets = new Set<Socket>();

  static async to(target: string): Promise<CutProxy> {
    const { port, hostname } = new URL(target);
    const proxy = new CutProxy();
    const server = createRelay((near) => proxy.join(near, connect(Number(port), hostname)));
    proxy.url = await servedInTest(server);
    onTestFinished(() => proxy.#sockets.forEach((socket) => socket.destroy()));
    return proxy;
  }

  join(near: Socket, far: Socket): void {
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (data) => {
        if (!this.#isCut) to.write(data);
      });
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#isCut) to.destroy();
      });
      from.on("error", () => undefined);
    }
  }

  cut(): void {
    this.#isCut = true;
  }

  /** New connections get through; what was open when it was cut is broken by now. */
  heal(): void {
    this.#isCut = false;
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Serves on this machine until the test ends. @returns its address */
/** @param socket absent: a free port of this machine. @returns the address, or the socket */
export async function servedInTest(server: Server | RelayServer, socket?: string): Promise<string> {
  server.listen(socket === undefined ? { port: 0, host: "127.0.0.1" } : { path: socket });
  await once(server, "listening");
  onTestFinished(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  });
  return socket ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** One of this machine on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createRelay();
  const { port } = new URL(await servedInTest(server));
  await new Promise((resolve) => server.close(resolve));
  return Number(port);
}

/** Adds a token to each request: for programs that can send none of their own. @returns its address */
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
  return servedInTest(server);
}
