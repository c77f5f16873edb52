import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import { Hono, type Context, type MiddlewareHandler } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { statusOf, type FailureCode } from "../contract/errors.ts";
import { codeOf, messageOf } from "../shared/error.ts";
import { parseObject, type JsonObject } from "../shared/json-fields.ts";
import { dataHeaders, isOwnHost, loopbackOrigins } from "../shared/page-security.ts";
import { err, ok, type Result } from "../shared/result.ts";
import { readBody } from "./local-http.ts";
import { isSecret, secretHash } from "./secret-hash.ts";

interface Loopback {
  readonly Bindings: HttpBindings & { readonly origins: readonly string[] };
}
export type LoopbackApp = Hono<Loopback>;
export type LoopbackContext = Context<Loopback>;

/** Its Host is checked before anything else: a rebound name gets nothing. */
export function loopbackApp(): LoopbackApp {
  const app: LoopbackApp = new Hono();
  app.onError((error, context) => refuse(context, "internal", messageOf(error)));
  app.notFound((context) => refuse(context, "unknown_operation", "there is nothing here"));
  app.use((context, next) => {
    const { origins } = context.env;
    for (const [name, value] of Object.entries(dataHeaders)) context.header(name, value);
    if (isOwnHost(context.req.header("host"), origins)) return next();
    return Promise.resolve(refuse(context, "forbidden", `use ${origins[0]}`, 421));
  });
  return app;
}

export function refuse(
  context: LoopbackContext,
  code: FailureCode,
  message: string,
  status: number = statusOf(code),
): Response {
  return context.json({ error: { code, message } }, status as ContentfulStatusCode);
}

export function onlyWithToken(token: string): MiddlewareHandler<Loopback> {
  const hash = secretHash(token);
  return async (context, next) => {
    const given = /^Bearer (\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    if (isSecret(given, hash)) return next();
    context.header("www-authenticate", "Bearer");
    return refuse(context, "unauthenticated", "the bearer token is needed");
  };
}

/** No form can send this type, and no script of another site without a preflight. */
export function isJson({ req }: LoopbackContext): boolean {
  return /^application\/json\s*(;|$)/i.test(req.header("content-type") ?? "");
}

const maxBodyBytes = 1_048_576;

/** @returns null for a body that is no JSON object, or too large */
export async function readObject({ env }: LoopbackContext): Promise<JsonObject | null> {
  const body = await readBody(env.incoming, maxBodyBytes);
  return body && parseObject(body.toString());
}

export interface Listening {
  readonly origin: string;
  readonly port: number;
  /** Ends open connections too. */
  close(): Promise<void>;
}

interface ListenOptions {
  readonly host?: string;
  readonly port: number;
  /** Absent: no connection becomes one of another protocol. */
  readonly onUpgrade?: (request: IncomingMessage, connection: Duplex, head: Buffer) => void;
}

const timeoutMs = 5_000;

const maxConnections = 256;

/**
 * Keeps no process running.
 *
 * @param address port 0: any free one
 * @returns as an error why the port cannot be used
 */
export async function listenOnLoopback(
  app: LoopbackApp,
  { host = "127.0.0.1", port: wanted, onUpgrade }: ListenOptions,
): Promise<Result<Listening, string>> {
  let origins: readonly string[] = [];
  const server = createAdaptorServer({
    fetch: (request, env) => app.fetch(request, { ...(env as HttpBindings), origins }),
    serverOptions: { requestTimeout: timeoutMs, headersTimeout: timeoutMs, keepAliveTimeout: timeoutMs },
    overrideGlobalObjects: false,
  });
  Object.assign(server, { maxConnections });
  /** A server forgets the connections that have been upgraded. */
  const upgraded = new Set<Duplex>();
  if (onUpgrade)
    server.on("upgrade", (request: IncomingMessage, connection: Duplex, head: Buffer) => {
      upgraded.add(connection);
      connection.on("error", () => connection.destroy());
      connection.on("close", () => upgraded.delete(connection));
      onUpgrade(request, connection, head);
    });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen({ port: wanted, host, exclusive: true }, resolve);
  try {
    await promise;
  } catch (error) {
    const code = codeOf(error) ?? messageOf(error);
    return err(code === "EADDRINUSE" ? `port ${wanted} is in use` : `port ${wanted} cannot be used (${code})`);
  }
  server.unref();
  const { port } = server.address() as AddressInfo;
  origins = loopbackOrigins(port);
  const close = (): Promise<void> =>
    new Promise((closed) => {
      server.close(() => closed());
      if ("closeAllConnections" in server) server.closeAllConnections();
      for (const connection of upgraded) connection.destroy();
    });
  return ok({ origin: `http://${host.includes(":") ? `[${host}]` : host}:${port}`, port, close });
}
