import type { Chat } from "../../contract/chats.ts";
import type { Json } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { OpenedLink } from "../link/open-link.ts";
import type { Runtime } from "../runtime.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { type About, open, seal } from "../sync/envelope.ts";
import { findProject } from "../sync/find-project.ts";
import { type KeyRing, readKeys } from "../sync/key-ring.ts";
import { checkoutKey } from "../sync/project-key.ts";

/** Names of a chat and its project at a coordinator: [TE10] in clear on one machine; at an edge keyed hashes, the rest sealed. */
export interface Naming {
  /** The name in the workspace of the project of a folder. */
  project(root: string): Promise<Result<string, string>>;
  /** The metadata that describes the chat to others. */
  metadata(session: Session): Promise<Record<string, Json>>;
  /** The title that a chat gives itself; null: it has none, or this machine cannot read it. */
  titleOf(chat: Pick<Chat, "chat" | "machine" | "metadata">): string | null;
}

type MachineInWorkspace = Pick<OpenedLink, "workspace" | "machine" | "edge">;

export function namingOf(runtime: Runtime, of: MachineInWorkspace): Naming {
  return of.edge === null ? new OpenNaming(runtime, of) : new SealedNaming(runtime, of, of.edge);
}

/** For the file of this machine, which only this user reads. */
class OpenNaming implements Naming {
  readonly #runtime: Runtime;
  readonly #of: MachineInWorkspace;

  constructor(runtime: Runtime, of: MachineInWorkspace) {
    this.#runtime = runtime;
    this.#of = of;
  }

  async project(root: string): Promise<Result<string, string>> {
    const { workspace, machine } = this.#of;
    return ok(await findProject(this.#runtime, { workspace, machine, key: null }, root));
  }

  async metadata(session: Session): Promise<Record<string, Json>> {
    const { project: root, cwd } = session;
    const title = displayTitle(session);
    const project = root === null ? null : await this.project(root);
    return {
      ...(project?.ok ? { project: project.value, checkout: root } : {}),
      ...(cwd === null ? {} : { folder: cwd }),
      ...(title === null ? {} : { title: title.slice(0, mostTitleChars) }),
    };
  }

  titleOf({ metadata }: Pick<Chat, "metadata">): string | null {
    return typeof metadata["title"] === "string" ? metadata["title"] : null;
  }
}

const mostTitleChars = 200;
const mostFolderChars = 1_000;

/** [TE10] The operator of the edge sees which chats share a project, but not which project it is. */
class SealedNaming implements Naming {
  readonly #runtime: Runtime;
  readonly #of: MachineInWorkspace;
  readonly #edge: NonNullable<MachineInWorkspace["edge"]>;
  /** Sealing gives another text each time, so the result is kept until the card changes. */
  #sealed: { readonly text: string; readonly keyId: string; readonly card: string } | null = null;

  constructor(runtime: Runtime, of: MachineInWorkspace, edge: NonNullable<MachineInWorkspace["edge"]>) {
    this.#runtime = runtime;
    this.#of = of;
    this.#edge = edge;
    const keys = this.#keys();
    if (!keys.ok) runtime.log("error", "the keys of the workspace are not used", { reason: keys.error });
  }

  /** [TE10] Read each time: a chat lives for days, and under an old key its projects have other names than those of other machines. */
  #keys(): Result<KeyRing | null, string> {
    return readKeys(this.#runtime.paths.home, this.#edge, this.#runtime.env);
  }

  #ring(): KeyRing | null {
    const keys = this.#keys();
    return keys.ok ? keys.value : null;
  }

  async project(root: string): Promise<Result<string, string>> {
    const keys = this.#keys();
    if (!keys.ok) return keys;
    if (!keys.value) return err("this machine has no key of the workspace; `shim edge join` takes it");
    const { workspace, machine } = this.#of;
    return ok(await findProject(this.#runtime, { workspace, machine, key: keys.value.current }, root));
  }

  async metadata(session: Session): Promise<Record<string, Json>> {
    const ring = this.#ring();
    if (!ring) return {};
    const card = this.#card(ring, session);
    return { ...(await this.#projectFields(ring, session)), ...(card === null ? {} : { card }) };
  }

  async #projectFields({ current }: KeyRing, { project: root }: Session): Promise<Record<string, Json>> {
    if (root === null) return {};
    const project = await this.project(root);
    if (!project.ok) return {};
    return { project: project.value, checkout: checkoutKey(current, { machine: this.#of.machine, folder: root }) };
  }

  titleOf({ chat, machine, metadata }: Pick<Chat, "chat" | "machine" | "metadata">): string | null {
    const ring = this.#ring();
    const { card } = metadata;
    if (!ring || typeof card !== "string") return null;
    const opened = open(ring.keys, this.#about(chat, machine), card);
    return opened.ok ? titleIn(Buffer.from(opened.value).toString("utf8")) : null;
  }

  #card(ring: KeyRing, session: Session): string | null {
    const { id, cwd } = session;
    const said = { folder: cwd?.slice(0, mostFolderChars), title: displayTitle(session)?.slice(0, mostTitleChars) };
    const text = JSON.stringify(said);
    const keyId = ring.current.id;
    if (this.#sealed?.text === text && this.#sealed.keyId === keyId) return this.#sealed.card;
    const sealed = seal(ring.current, this.#about(id, this.#of.machine), Buffer.from(text), this.#runtime.random);
    if (!sealed.ok) return null;
    this.#sealed = { text, keyId, card: sealed.value };
    return sealed.value;
  }

  #about(chat: string, machine: string): About {
    return { workspace: this.#of.workspace, kind: "chat", device: machine, session: chat, of: "card" };
  }
}

/** Only SHIM seals with the workspace's key, but another version may have written it. */
function titleIn(text: string): string | null {
  const card = JSON.parse(text) as { readonly title?: unknown };
  return typeof card.title === "string" ? card.title : null;
}
