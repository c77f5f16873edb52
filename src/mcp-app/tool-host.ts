import type { Chat } from "../contract/chats.ts";
import type { Fleet } from "../contract/machine/page.ts";
import { refused, type Answer, type CallName, type Host, type OnChange, type OnState } from "../web/host.ts";
import { ClientError, type ClientLink } from "./client-link.ts";

/** A result of a tool, as the client passes it on. */
export interface ToolResult {
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly isError?: boolean;
}

/** [RM4] Shortened, so a list that a view reads at once may take several. */
interface Page {
  readonly cursor: string | null;
}

const everyMs = 15_000;
/** Each answer has at most 200 of them, and is asked for again each time. */
const maxChats = 500;

/** [RM19] The tools of this server, called through the MCP client that shows the page. */
export class ToolHost implements Host {
  readonly kind = "edge";
  /** Whether the client lets this page call tools. */
  readonly canCall: boolean;
  readonly #link: ClientLink;
  /** The answer that the chat itself got: all that there is where the client calls nothing. */
  #shown: Answer<{ readonly chats: readonly Chat[] }> = refused("not_read", "The chat has got no answer yet.");
  #onChange: OnChange = () => undefined;
  #onState: OnState = () => undefined;
  #isOver = false;
  #isRefused = false;

  constructor(link: ClientLink, canCall: boolean) {
    this.#link = link;
    this.canCall = canCall;
  }

  readonly call: Host["call"] = async (name: CallName, input: object, requestId?: string) => {
    if (name === "page.fleet") return (await this.#readFleet()) as never;
    if (name === "chats.get") return (await this.#readChat((input as { chat: string }).chat)) as never;
    if (name === "leases.list") return (await this.#readAll(name, "leases", input)) as never;
    return this.#callTool(name, requestId === undefined ? input : { ...input, requestId });
  };

  /** The chat has called the tool of this page. */
  show(result: ToolResult): void {
    this.#shown = readResult(result);
    this.#onChange("all");
  }

  /** Asks again, also where the client has refused a call. */
  readAgain(): void {
    this.#setRefused(false);
    this.#onChange("all");
  }

  /** Nothing tells an app of changes: it asks again, as long as it is on the screen. */
  async follow(onChange: OnChange, onState: OnState, end: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    this.#onState = onState;
    this.#setRefused(false);
    let isSeen = true;
    const seen = new IntersectionObserver((entries) => (isSeen = entries.at(-1)?.isIntersecting ?? true));
    seen.observe(document.documentElement);
    const timer = setInterval(() => {
      if (this.#isLive() && isSeen && !document.hidden) onChange("all");
    }, everyMs);
    end.addEventListener("abort", () => {
      clearInterval(timer);
      seen.disconnect();
    });
  }

  /** The client is about to remove the page. */
  async signOut(): Promise<void> {
    this.#isOver = true;
    this.#onState(false);
  }

  #isLive(): boolean {
    return this.canCall && !this.#isRefused && !this.#isOver;
  }

  /** A client may ask its user about each call: one that was refused is not repeated by itself. */
  #setRefused(isRefused: boolean): void {
    this.#isRefused = isRefused;
    this.#onState(this.#isLive());
  }

  async #callTool<T>(name: string, input: object): Promise<Answer<T>> {
    const params = { name: name.replaceAll(/[.-]/g, "_"), arguments: input };
    try {
      return readResult(await this.#link.request<ToolResult>("tools/call", params));
    } catch (error) {
      this.#setRefused(true);
      const reason = error instanceof ClientError ? error.message : "its answer cannot be read";
      return refused("client", `This client did not call ${params.name}: ${reason}`);
    }
  }

  /** Reads pages until there are as many as were asked for. */
  async #readAll<Field extends string, Item>(
    name: string,
    field: Field,
    input: { readonly limit?: number },
  ): Promise<Answer<Page & Record<Field, Item[]>>> {
    const { limit = maxChats } = input;
    const items: Item[] = [];
    let cursor: string | null = null;
    do {
      const from: object = cursor === null ? {} : { cursor };
      const asked = { ...input, limit: Math.min(200, limit - items.length), ...from };
      const page: Answer<Page & Record<Field, Item[]>> = await this.#callTool(name, asked);
      if (!page.ok) return page;
      items.push(...page.value[field]);
      ({ cursor } = page.value);
    } while (cursor !== null && items.length < limit);
    return { ok: true, value: { cursor, [field]: items } as Page & Record<Field, Item[]> };
  }

  async #readChats(): Promise<Answer<{ readonly chats: readonly Chat[]; readonly cursor?: string | null }>> {
    return this.canCall ? this.#readAll<"chats", Chat>("chats.list", "chats", {}) : this.#shown;
  }

  async #readFleet(): Promise<Answer<Fleet>> {
    const read = await this.#readChats();
    if (!read.ok) return read;
    const isCut = (read.value.cursor ?? null) !== null;
    const notices = [
      ...(this.canCall ? [] : ["This client lets a page call no tools: this is what the chat was answered."]),
      ...(isCut ? [`Only the first ${maxChats.toLocaleString("en-US")} chats are shown.`] : []),
    ];
    const nothingHere = { rows: [], conflicts: [], unpricedTokensToday: 0, where: "", trouble: null };
    return { ok: true, value: { ...nothingHere, notices, chats: read.value.chats.map(withTitle) } };
  }

  async #readChat(id: string): Promise<Answer<Chat>> {
    const read = await this.#readChats();
    if (!read.ok) return read;
    const chat = read.value.chats.find((one) => one.chat === id);
    return chat ? { ok: true, value: withTitle(chat) } : refused("unknown_chat", "There is no such chat any more.");
  }
}

/** [RM6] Titles are sealed, and the metadata with them. */
function withTitle(chat: Chat): Chat {
  return { ...chat, metadata: { title: `${chat.client} on ${chat.machine}` } };
}

/** [RM4] The JSON of an answer stands between fences; a refusal is its code and a sentence. */
function readResult<T>({ content, isError }: ToolResult): Answer<T> {
  const text = content?.find(({ type }) => type === "text")?.text ?? "";
  if (isError) {
    const [, code = "internal", message = text] = /^([a-z_]+): (.*)$/s.exec(text) ?? [];
    return refused(code, message);
  }
  try {
    return { ok: true, value: JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) as T };
  } catch {
    return refused("internal", "The answer of the tool cannot be read.");
  }
}
