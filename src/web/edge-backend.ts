import type { Chat } from "../contract/chats.ts";
import type { PageOperation } from "../contract/live-page.ts";
import type { Fleet, ReceivedMessage } from "../contract/machine/page.ts";
import type { ListedMessage } from "../contract/messages.ts";
import type { OutputOf } from "../contract/operations.ts";
import { pingText } from "../contract/sockets.ts";
import { brokenCode, type Line, type LineEvents } from "../pairing/connection.ts";
import { refused, toAnswer, type Answer, type CallName, type Backend, type OnChange, type OnState } from "./backend.ts";
import { keepLive } from "./keep-live.ts";

const changing = /^(?:chats\.drain|leases\.force-release|tasks\.(?:cancel|discard|replay)|tokens\.revoke)$/;

/** Method and path below a workspace; a test compares them with the table of operations. */
export function routeOf(name: PageOperation): string {
  const path = name
    .replace(/\.list$/, "")
    .replace("budgets.get", "budgets")
    .replace(".", "/");
  return `${changing.test(name) ? "POST" : "GET"} /${path}`;
}

const ofMachine = /^(?:conversation|effects|experiments|page|pauses|recovery|requests|runs|sessions|undo)\./;

const maxMessages = 200;
/** Announced by the coordinator; of tasks and messages it only says that some have changed. */
const watched = ["$chat/", "$file/", "$leader/", "$task/", "$message/"];
const changedBy: Readonly<Record<string, Parameters<OnChange>[0]>> = { task: "tasks", message: "messages" };

/** The workspace that a token names; null: it is no token. */
export function workspaceOf(token: string): string | null {
  try {
    const [text = ""] = token.replace(/^shim_/, "").split(".");
    const { w } = JSON.parse(atob(text.replaceAll("-", "+").replaceAll("_", "/"))) as { w?: unknown };
    return typeof w === "string" ? w : null;
  } catch {
    return null;
  }
}

/** The Worker, with a token that stays in this page's memory. */
export class EdgeBackend implements Backend {
  readonly kind = "edge";
  readonly canAnswer = false;
  readonly #base: string;
  readonly #token: string;

  constructor(workspace: string, token: string) {
    this.#base = `/v1/workspaces/${encodeURIComponent(workspace)}`;
    this.#token = token;
  }

  readonly call: Backend["call"] = async (name: CallName, input: object, requestId?: string) => {
    if (name === "page.fleet") return (await this.#readFleet()) as never;
    if (name === "page.messages") return (await this.#readMessages()) as never;
    if (name === "page.audit") return this.#ask(routeOf("audit.list"), { limit: maxMessages, ...input });
    if (ofMachine.test(name)) return refused("unknown_operation", "this is only on the machine of the chat");
    const isIdempotent = requestId !== undefined && name !== "tokens.revoke";
    return this.#ask(routeOf(name as PageOperation), isIdempotent ? { ...input, requestId } : input);
  };

  async signOut(): Promise<void> {}

  follow(onChange: OnChange, onState: OnState, end: AbortSignal): void {
    const open = (events: LineEvents): Line => {
      let socket: WebSocket | null = null;
      let isClosed = false;
      const begin = async (): Promise<void> => {
        const ticket = await this.#ask<{ ticket: string }>("POST /tickets", {});
        if (!ticket.ok) return events.onDown(brokenCode);
        if (isClosed) return;
        const address = `${location.origin.replace("http", "ws")}${this.#base}/connect`;
        socket = new WebSocket(address, ["shim.page", ticket.value.ticket]);
        followSocket(socket, events, onChange);
      };
      void begin();
      return {
        // Pings are answered without waking the coordinator.
        ping: () => socket?.send(pingText),
        close() {
          isClosed = true;
          socket?.close();
        },
      };
    };
    keepLive({ open, onState, end, why: "the coordinator does not answer" });
  }

  async #ask<T>(route: string, input: object): Promise<Answer<T>> {
    const [method = "", path = ""] = route.split(" ");
    const headers = { authorization: `Bearer ${this.#token}` };
    const texts = Object.entries(input).map(([name, value]) => [name, String(value)]);
    const query = method === "GET" && texts.length > 0 ? `?${new URLSearchParams(texts).toString()}` : "";
    try {
      const body = method === "GET" ? {} : { body: JSON.stringify(input) };
      return await toAnswer<T>(await fetch(`${this.#base}${path}${query}`, { method, headers, ...body }));
    } catch {
      return refused("unreachable", "the coordinator was not reached");
    }
  }

  async #readMessages(): Promise<Answer<{ readonly messages: ReceivedMessage[] }>> {
    const input = { limit: maxMessages };
    const page = await this.#ask<OutputOf<"messages.list">>(routeOf("messages.list"), input);
    return page.ok ? { ok: true, value: { messages: page.value.messages.map(toReceived) } } : page;
  }

  async #readFleet(): Promise<Answer<Fleet>> {
    const chats: Chat[] = [];
    for (let cursor: string | null = ""; cursor !== null;) {
      const from: object = cursor === "" ? {} : { cursor };
      const page: Answer<OutputOf<"chats.list">> = await this.#ask(routeOf("chats.list"), { limit: 200, ...from });
      if (!page.ok) return page;
      chats.push(...page.value.chats);
      cursor = page.value.cursor;
    }
    const budgets = await this.#ask<{ today: { costMicros: number } }>(routeOf("budgets.get"), {});
    const costUsdToday = budgets.ok ? budgets.value.today.costMicros / 1e6 : null;
    const nothingHere = { rows: [], unpricedTokensToday: 0, notices: [], conflicts: [], trouble: null };
    return { ok: true, value: { ...nothingHere, chats, costUsdToday, where: location.host } };
  }
}

function toReceived({ target, text, isClipped, expiresInMs, ...one }: ListedMessage): ReceivedMessage {
  return {
    ...one,
    kind: "message",
    text: isClipped ? `${text} …` : text,
    topic: target.to === "topic" ? target.topic : null,
    to: target.to === "chat" ? target.chat : null,
    toTitle: null,
    isDelivered: true,
    status: expiresInMs === 0 ? "expired" : "sent",
  };
}

function followSocket(socket: WebSocket, events: LineEvents, onChange: OnChange): void {
  socket.addEventListener("open", () => {
    events.onUp();
    onChange("all");
    for (const prefix of watched) send(socket, "state.watch", { watch: prefix.slice(1, -1), prefix }, 1);
  });
  socket.addEventListener("message", ({ data }) => {
    events.onHeard();
    const frame = (typeof data === "string" && data.startsWith("{") ? JSON.parse(data) : {}) as Frame;
    const { mark, watch = "" } = frame.params ?? {};
    if (frame.method === "state.changed") onChange(changedBy[watch] ?? "team");
    if (frame.method === "flow.mark") send(socket, "flow.read", { mark });
  });
  socket.addEventListener("close", ({ code }) => events.onDown(code));
}

function send(socket: WebSocket, method: string, params: object, id?: number): void {
  socket.send(JSON.stringify({ jsonrpc: "2.0", method, params, ...(id === undefined ? {} : { id }) }));
}

interface Frame {
  readonly method?: string;
  readonly params?: { readonly mark?: string; readonly watch?: string };
}
