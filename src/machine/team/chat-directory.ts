import type { Chat } from "../../contract/chats.ts";
import { shortIdAmong } from "../../contract/short-id.ts";
import type { Json } from "../../contract/values.ts";
import type { OpenedLink, CoordinatorClient } from "../../coordinator-client/client.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { oneLine } from "../../shared/format.ts";
import { isWithin } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result } from "../../shared/result.ts";
import { needOf } from "../sessions/life/questions.ts";
import * as life from "../sessions/life/row.ts";
import * as sessions from "../sessions/sessions.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { type EnvelopeSubject, open, seal } from "../sharing/envelope.ts";
import { findProject, checkoutKey } from "../sharing/find-project.ts";
import { type KeyRing, readKeys, requireKeys } from "../sharing/key-ring.ts";

/** Plain names on one machine; at an edge keyed hashes, the rest sealed. */
export interface Naming {
  project(root: string): Promise<Result<string, string>>;
  metadata(session: Session): Promise<Record<string, Json>>;
  /** Returns null also for a title that this machine cannot open. */
  titleOf(chat: Pick<Chat, "chat" | "machine" | "metadata">): string | null;
}

/** @param checkout of a chat's metadata; a keyed hash of an edge's machine names no folder */
export function folderOf(checkout: unknown): string | null {
  return typeof checkout === "string" && /^([\\/]|[A-Za-z]:)/.test(checkout) ? checkout : null;
}

type MachineInWorkspace = Pick<OpenedLink, "workspace" | "machine" | "edge">;

export function createNaming(runtime: Runtime, identity: MachineInWorkspace): Naming {
  return identity.edge === null ? plainNaming(runtime, identity) : new SealedNaming(runtime, identity, identity.edge);
}

/** Only this user can read this machine's file. */
function plainNaming(runtime: Runtime, { workspace, machine }: MachineInWorkspace): Naming {
  const project = (root: string): Promise<string> => findProject(runtime, { workspace, machine, key: null }, root);
  return {
    project: async (root) => ok(await project(root)),
    metadata: async (session) => {
      const { project: root, cwd } = session;
      const title = displayTitle(session)?.slice(0, maxTitleChars);
      return {
        ...(root === null ? {} : { project: await project(root), checkout: root }),
        ...(cwd === null ? {} : { folder: cwd }),
        ...omitUndefined({ title }),
      };
    },
    titleOf: ({ metadata: { title } }) => (typeof title === "string" ? title : null),
  };
}

const maxTitleChars = 200;
const maxFolderChars = 1_000;

/** The edge's operator sees which chats share a project, but not which project. */
class SealedNaming implements Naming {
  readonly #runtime: Runtime;
  readonly #identity: MachineInWorkspace;
  readonly #edge: NonNullable<MachineInWorkspace["edge"]>;
  /** Sealing gives another text each time. */
  #sealedCard: { readonly text: string; readonly keyId: string; readonly card: string } | null = null;

  constructor(runtime: Runtime, identity: MachineInWorkspace, edge: NonNullable<MachineInWorkspace["edge"]>) {
    this.#runtime = runtime;
    this.#identity = identity;
    this.#edge = edge;
    const keys = readKeys(runtime.paths.home, edge, runtime.env);
    if (!keys.ok) runtime.log("error", "the keys of the workspace are not used", { reason: keys.error });
  }

  /** Not cached: a key may be replaced during a chat. */
  #readKeys(): Result<KeyRing, string> {
    return requireKeys(this.#runtime.paths.home, this.#edge, this.#runtime.env);
  }

  async project(root: string): Promise<Result<string, string>> {
    const keys = this.#readKeys();
    if (!keys.ok) return keys;
    const { workspace, machine } = this.#identity;
    return ok(await findProject(this.#runtime, { workspace, machine, key: keys.value.current }, root));
  }

  async metadata(session: Session): Promise<Record<string, Json>> {
    const keys = this.#readKeys();
    if (!keys.ok) return {};
    const card = this.#card(keys.value, session);
    return { ...(await this.#projectFields(keys.value, session)), ...(card === null ? {} : { card }) };
  }

  async #projectFields({ current }: KeyRing, { project: root }: Session): Promise<Record<string, Json>> {
    if (root === null) return {};
    const project = await this.project(root);
    if (!project.ok) return {};
    const { machine } = this.#identity;
    return { project: project.value, checkout: checkoutKey(current, { machine, folder: root }) };
  }

  titleOf({ chat, machine, metadata }: Pick<Chat, "chat" | "machine" | "metadata">): string | null {
    const keys = this.#readKeys();
    const { card } = metadata;
    if (!keys.ok || typeof card !== "string") return null;
    const opened = open(keys.value.keys, this.#subject(chat, machine), card);
    if (!opened.ok) return null;
    // Another version of SHIM may have written it.
    const { title } = JSON.parse(Buffer.from(opened.value).toString("utf8")) as { readonly title?: unknown };
    return typeof title === "string" ? title : null;
  }

  #card(keyRing: KeyRing, session: Session): string | null {
    const { id, cwd } = session;
    const fields = { folder: cwd?.slice(0, maxFolderChars), title: displayTitle(session)?.slice(0, maxTitleChars) };
    const text = JSON.stringify(fields);
    const keyId = keyRing.current.id;
    if (this.#sealedCard?.text === text && this.#sealedCard.keyId === keyId) return this.#sealedCard.card;
    const subject = this.#subject(id, this.#identity.machine);
    const sealed = seal(keyRing.current, subject, Buffer.from(text), this.#runtime.random);
    if (!sealed.ok) return null;
    this.#sealedCard = { text, keyId, card: sealed.value };
    return sealed.value;
  }

  #subject(chat: string, machine: string): EnvelopeSubject {
    return { workspace: this.#identity.workspace, kind: "chat", device: machine, session: chat, item: "card" };
  }
}

/** The name is the chat's own text: untrusted. */
export interface ChatIdentity {
  readonly name: string;
  readonly machine: string;
  readonly checkout: string;
  /** Null also for a chat of another machine, whose progress says it a little later. */
  readonly waiting: ReturnType<typeof needOf>;
}

const validForMs = 60_000;
const timeoutMs = 5_000;
const maxNameChars = 80;

export class ChatDirectory {
  readonly #runtime: Pick<Runtime, "store" | "now">;
  readonly #link: () => CoordinatorClient | undefined;
  readonly #machine: string;
  readonly #naming: Naming;
  /** Chats of other machines. */
  readonly #cache = new Map<string, { readonly identity: ChatIdentity; readonly at: number }>();

  /** @param link without one only the chats of this machine have names */
  constructor(
    runtime: Pick<Runtime, "store" | "now">,
    link: () => CoordinatorClient | undefined,
    machine: string,
    naming: Naming,
  ) {
    this.#runtime = runtime;
    this.#link = link;
    this.#machine = machine;
    this.#naming = naming;
  }

  async identify(chat: string): Promise<ChatIdentity> {
    const local = this.#fromSession(chat);
    if (local) return local;
    const cached = this.#cache.get(chat);
    if (cached && isWithin(this.#runtime.now() - cached.at, validForMs)) return cached.identity;
    const answer = await this.#link()?.call("chats.get", { chat }, timeoutMs);
    if (answer?.ok) return this.fromChat(answer.value);
    return cached?.identity ?? { name: this.#shortName(chat), machine: "", checkout: "", waiting: null };
  }

  fromChat({ chat, machine, client, metadata }: Pick<Chat, "chat" | "machine" | "client" | "metadata">): ChatIdentity {
    const local = this.#fromSession(chat);
    if (local) return local;
    const title = this.#naming.titleOf({ chat, machine, metadata });
    const { checkout } = metadata;
    const name = title === null ? `${toLabel(client)} ${this.#shortName(chat)}` : toLabel(title);
    const identity = {
      name,
      machine: toLabel(machine),
      checkout: typeof checkout === "string" ? checkout : "",
      waiting: null,
    };
    this.#cache.set(chat, { identity, at: this.#runtime.now() });
    return identity;
  }

  #fromSession(chat: string): ChatIdentity | null {
    const { store } = this.#runtime;
    const session = store.read((sql) => sessions.get(sql, chat), null);
    if (!session) return null;
    const title = sessions.displayTitle(session);
    const name = title === null ? this.#shortName(chat) : toLabel(title);
    const waiting = store.read((sql) => needOf(life.read(sql, chat)), null);
    return { name, machine: this.#machine, checkout: session.project ?? "", waiting };
  }

  /** Unique among this machine's sessions and the chats named so far. */
  #shortName(chat: string): string {
    const localId = this.#runtime.store.read((sql) => shortSessionId(sql, chat), chat.slice(0, 8));
    const knownId = shortIdAmong(chat, this.#cache.keys());
    return localId.length > knownId.length ? localId : knownId;
  }
}

/** Untrusted text in a line of SHIM's own. */
function toLabel(text: string): string {
  return oneLine(redact(text).text.replaceAll(/["<>`]/g, " "), maxNameChars);
}
