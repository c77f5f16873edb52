import type { JsonObject } from "../../shared/json-fields.ts";

/** A line of a client's output in one form for all clients. */
export type OutputEvent =
  | { readonly kind: "begun"; readonly session: string; readonly model: string | null }
  /** `isPart`: it continues the text before it. */
  | { readonly kind: "text"; readonly text: string; readonly isPart: boolean }
  | { readonly kind: "tool"; readonly text: string }
  /** Input and output tokens of the run so far. */
  | { readonly kind: "counted"; readonly tokens: number }
  /** `failure`: null for a good end. */
  | { readonly kind: "ended"; readonly failure: string | null };

export interface OutputFormat {
  /** Options that make the client print it. */
  readonly args: readonly string[];
  /** Pure. @param event one line */
  read(event: JsonObject): readonly OutputEvent[];
}
