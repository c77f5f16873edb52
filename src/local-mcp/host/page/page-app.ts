import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { HostErrorCode } from "../../../contract/errors.ts";
import { PageCall } from "../../../contract/live-page.ts";
import {
  isJson,
  loopbackApp,
  readObject,
  refuse,
  type LoopbackApp,
  type LoopbackContext,
} from "../../../platform/loopback.ts";
import { messageOf } from "../../../shared/error.ts";
import { dataHeaders, isFromPage } from "../../../shared/page-security.ts";
import type { Result } from "../../../shared/result.ts";
import type { LiveFeed } from "./live-feed.ts";
import type { PageFile } from "./page-files.ts";
import type { SignedIn, SignIn } from "./sign-in.ts";

export interface PageError {
  readonly code: HostErrorCode;
  readonly message: string;
}

interface PageParts {
  readonly files: ReadonlyMap<string, PageFile>;
  readonly feed: LiveFeed;
  readonly signIn: SignIn;
  readonly call: (given: PageCall) => Promise<Result<unknown, PageError>>;
  /** A page has to sign in, and the last link was used or is too old. */
  readonly onLinkNeeded: (origin: string) => void;
  readonly onProblem: (message: string) => void;
}

/** [WP1] The live page. GET has the bundle only; all data takes the secret. */
export function pageApp(parts: PageParts): LoopbackApp {
  const { files, signIn, onLinkNeeded, onProblem } = parts;
  const app = loopbackApp();
  app.onError((error, context) => {
    onProblem(messageOf(error));
    return refuse(context, "internal", "SHIM failed");
  });
  app.get("*", (context) => {
    const file = files.get(context.req.path);
    if (!file) return context.notFound();
    const caching = file.isForever ? "public, max-age=31536000, immutable" : "no-cache";
    return context.body(file.body, 200, { "content-type": file.type, "cache-control": caching });
  });
  app.post("*", async (context, next) => {
    const { origins } = context.env;
    const sender = { origin: context.req.header("origin"), fetchSite: context.req.header("sec-fetch-site") };
    if (!isFromPage(sender, origins)) return refuse(context, "forbidden", "only the page itself may send this");
    return isJson(context) ? next() : refuse(context, "bad_input", "send application/json", 415);
  });
  app.post("/api/sign-in", async (context) => {
    const given = (await readObject(context))?.["token"];
    const token = typeof given === "string" ? given : "";
    const secret = signIn.exchange(token);
    if (secret !== null) return context.json({ secret });
    // A page that has a link first asks the other tabs, then again without it.
    if (token === "" && !signIn.hasToken) onLinkNeeded(context.env.origins[0] ?? "");
    return refuse(context, "unauthenticated", "the link was used already, or is older than a minute");
  });
  addCalls(app, parts);
  return app;
}

function addCalls(app: LoopbackApp, { feed, signIn, call }: PageParts): void {
  const signedIn =
    (answer: (context: LoopbackContext, caller: SignedIn) => Response | Promise<Response>) =>
    (context: LoopbackContext): Response | Promise<Response> => {
      const caller = signIn.find(context.req.header("authorization"));
      return caller ? answer(context, caller) : refuse(context, "unauthenticated", "this page is not signed in");
    };
  app.post(
    "/api/call",
    signedIn(async (context) => {
      const given = PageCall.safeParse(await readObject(context));
      if (!given.success) return refuse(context, "bad_input", "the call has another form");
      const result = await call(given.data);
      return result.ok
        ? context.json(result.value as object)
        : refuse(context, result.error.code, result.error.message);
    }),
  );
  // [WP51] The stream ends when the secret of its tab does.
  app.post(
    "/api/live",
    signedIn(({ env: { outgoing } }, { ended }) => {
      outgoing.writeHead(200, { ...dataHeaders, "content-type": "application/x-ndjson" });
      feed.add(outgoing);
      const end = (): void => feed.end(outgoing);
      ended.signal.addEventListener("abort", end);
      outgoing.on("close", () => ended.signal.removeEventListener("abort", end));
      return RESPONSE_ALREADY_SENT;
    }),
  );
  app.post(
    "/api/sign-out",
    signedIn((context, caller) => {
      signIn.signOut(caller);
      return context.json({});
    }),
  );
}
