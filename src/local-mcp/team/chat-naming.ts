import type { Chat } from "../../contract/chats.ts";
import type { Json } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { OpenedLink } from "../../coordinator-client/open-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { type EnvelopeSubject, open, seal } from "../sync/envelope.ts";
import { findProject } from "../sync/find-project.ts";
import { type KeyRing, readKeys } from "../sync/key-ring.ts";
import { checkoutKey } from "../sync/project-key.ts";

/** [TE10] Plain names on one machine; at an edge keyed hashes, the rest sealed. */
export interface Naming {
  project(root: string): Promise<Result<string, string>>;
  metadata(session: Session): Promise<Record<string, Json>>;
  /** Returns null also for a title that this machine cannot open. */
  titleOf(chat: Pick<Chat, "chat" | "machine" | "metadata">): string | null;
}

type MachineInWorkspace = Pick<OpenedLink, "workspace" | "machine" | "edge">;

export function createNaming(runtime: Runtime, identity: MachineInWorkspace): Naming {
  return identity.edge === null
    ? new PlainNaming(runtime, identity)
    : new SealedNaming(runtime, identity, identity.edge);
}

/** Only this user can read this machine's file. */
class PlainNaming implements Naming {
  readonly #runtime: Runtime;
  readonly #identity: MachineInWorkspace;

  constructor(runtime: Runtime, identity: MachineInWorkspace) {
    this.#runtime = runtime;
    this.#identity = identity;
  }

  async project(root: string): Promise<Result<string, string>> {
    const { workspace, machine } = this.#identity;
    return ok(await findProject(this.#runtime, { workspace, machine, key: null }, root));
  }

  async metadata(session: Session): Promise<Record<string, Json>> {
    const { project: root, cwd } = session;
    const title = displayTitle(session);
    const project = root === null ? null : await this.project(root);
    return {
      ...(project?.ok ? { project: project.value, checkout: root } : {}),
      ...(cwd === null ? {} : { folder: cwd }),
      ...(title === null ? {} : { title: title.slice(0, maxTitleChars) }),
    };
  }

  titleOf({ metadata }: Pick<Chat, "metadata">): string | null {
    return typeof metadata["title"] === "string" ? metadata["title"] : null;
  }
}

const maxTitleChars = 200;
const maxFolderChars = 1_000;

/** [TE10] The edge's operator sees which chats share a project, but not which project. */
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
    const keys = this.#readKeys();
    if (!keys.ok) runtime.log("error", "the keys of the workspace are not used", { reason: keys.error });
  }

  /** [TE10] Not cached: a key may be replaced during a chat. */
  #readKeys(): Result<KeyRing | null, string> {
    return readKeys(this.#runtime.paths.home, this.#edge, this.#runtime.env);
  }

  #readKeyRing(): KeyRing | null {
    const keys = this.#readKeys();
    return keys.ok ? keys.value : null;
  }

  async project(root: string): Promise<Result<string, string>> {
    const keys = this.#readKeys();
    if (!keys.ok) return keys;
    if (!keys.value) return err("this machine has no key of the workspace; `shim edge join` takes it");
    const { workspace, machine } = this.#identity;
    return ok(await findProject(this.#runtime, { workspace, machine, key: keys.value.current }, root));
  }

  async metadata(session: Session): Promise<Record<string, Json>> {
    const keyRing = this.#readKeyRing();
    if (!keyRing) return {};
    const card = this.#card(keyRing, session);
    return { ...(await this.#projectFields(keyRing, session)), ...(card === null ? {} : { card }) };
  }

  async #projectFields({ current }: KeyRing, { project: root }: Session): Promise<Record<string, Json>> {
    if (root === null) return {};
    const project = await this.project(root);
    if (!project.ok) return {};
    return {
      project: project.value,
      checkout: checkoutKey(current, { machine: this.#identity.machine, folder: root }),
    };
  }

  titleOf({ chat, machine, metadata }: Pick<Chat, "chat" | "machine" | "metadata">): string | null {
    const keyRing = this.#readKeyRing();
    const { card } = metadata;
    if (!keyRing || typeof card !== "string") return null;
    const opened = open(keyRing.keys, this.#subject(chat, machine), card);
    return opened.ok ? parseTitle(Buffer.from(opened.value).toString("utf8")) : null;
  }

  #card(keyRing: KeyRing, session: Session): string | null {
    const { id, cwd } = session;
    const fields = { folder: cwd?.slice(0, maxFolderChars), title: displayTitle(session)?.slice(0, maxTitleChars) };
    const text = JSON.stringify(fields);
    const keyId = keyRing.current.id;
    if (this.#sealedCard?.text === text && this.#sealedCard.keyId === keyId) return this.#sealedCard.card;
    const sealed = seal(
      keyRing.current,
      this.#subject(id, this.#identity.machine),
      Buffer.from(text),
      this.#runtime.random,
    );
    if (!sealed.ok) return null;
    this.#sealedCard = { text, keyId, card: sealed.value };
    return sealed.value;
  }

  #subject(chat: string, machine: string): EnvelopeSubject {
    return { workspace: this.#identity.workspace, kind: "chat", device: machine, session: chat, item: "card" };
  }
}

/** Another version of SHIM may have written it. */
function parseTitle(text: string): string | null {
  const card = JSON.parse(text) as { readonly title?: unknown };
  return typeof card.title === "string" ? card.title : null;
}
