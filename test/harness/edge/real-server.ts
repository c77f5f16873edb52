import { createHash } from "node:crypto";
import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from "node:http";
import { connect, createServer as createRelay } from "node:net";
import type { AddressInfo, Server as RelayServer, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { onTestFinished } from "vitest";
import { once } from "node:events";

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server on a port of this machine that speaks as much of HTTP and WebSocket (RFC 6455) as a client's own client is tested with. */
export class RealServer {
  readonly seen: Seen[] = [];
  /** Status of upgrades that are refused; null: they are accepted. */
  refusesWith: number | null = null;
  answer: (request: Seen, response: ServerResponse) => void = (_request, response) => void response.end("{}");
  onText: (text: string, connection: RealConnection) => void = () => undefined;
  readonly connections: RealConnection[] = [];
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

  static async listen(): Promise<RealServer> {
    const server = createServer();
    const made = new RealServer(server, await servedInTest(server));
    onTestFinished(() => made.close());
    return made;
  }

  close(): void {
    for (const { socket } of this.connections) socket.destroy();
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    this.answer(this.#see(request, Buffer.concat(parts).toString()), response);
  }

  #upgrade(request: IncomingMessage, socket: Duplex): void {
    this.#see(request, "");
    socket.on("error", () => undefined);
    if (this.refusesWith !== null) {
      socket.end(`HTTP/1.1 ${this.refusesWith} Refused\r\nContent-Length: 2\r\n\r\n{}`);
      return;
    }
    const key = `${request.headers["sec-websocket-key"] ?? ""}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    this.connections.push(new RealConnection(socket, (text, connection) => this.onText(text, connection)));
  }

  #see(request: IncomingMessage, body: string): Seen {
    const { method = "", url = "", headers } = request;
    const seen = { method, url, headers, body };
    this.seen.push(seen);
    return seen;
  }
}

export class RealConnection {
  readonly socket: Duplex;
  #buffer = Buffer.alloc(0);

  constructor(socket: Duplex, onText: (text: string, connection: RealConnection) => void) {
    this.socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      for (let text = this.#next(); text !== null; text = this.#next()) onText(text, this);
    });
  }

  send(text: string): void {
    this.#write(0x81, Buffer.from(text));
  }

  close(code: number, reason: string): void {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(code);
    this.#write(0x88, Buffer.concat([head, Buffer.from(reason)]));
    this.socket.end();
  }

  #write(first: number, payload: Buffer): void {
    const length = Buffer.from(
      payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff],
    );
    this.socket.write(Buffer.concat([Buffer.from([first]), length, payload]));
  }

  /** The next text frame of the client, which is always masked; others are passed over. */
  #next(): string | null {
    const short = (this.#buffer[1] ?? 0) & 0x7f;
    const start = short === 126 ? 8 : 6;
    if (this.#buffer.length < start) return null;
    const length = short === 126 ? this.#buffer.readUInt16BE(2) : short;
    if (this.#buffer.length < start + length) return null;
    const isText = ((this.#buffer[0] ?? 0) & 0x0f) === 1;
    const mask = this.#buffer.subarray(start - 4, start);
    const text = Buffer.from(
      this.#buffer.subarray(start, start + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0)),
    );
    this.#buffer = this.#buffer.subarray(start + length);
    return isText ? text.toString() : this.#next();
  }
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
export async function servedInTest(server: Server | RelayServer): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
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
