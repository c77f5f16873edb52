import type { Json } from "../../contract/values.ts";
import type { Session } from "../sessions/sessions.ts";

/** What a coordinator is told of a chat's place: in clear on one machine, as keyed hashes and sealed at an edge. */
export interface Naming {
  /** What the project is called in the workspace. */
  project(root: string): Promise<string>;
  /** Who the chat is, for others. */
  metadata(session: Session): Promise<Record<string, Json>>;
}
