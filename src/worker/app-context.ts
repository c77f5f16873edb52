import type { Context } from "hono";
import type { Env } from "./env.ts";

export interface AppBindings {
  Bindings: Env;
}
export type AppContext = Context<AppBindings>;
