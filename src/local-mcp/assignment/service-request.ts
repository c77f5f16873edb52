import type { Config } from "../../contract/config.ts";

/** Exchanged by SHIM and the process of a service, as JSON: hashed units, names and numbers. */

export interface ServiceRequest {
  readonly settings: Config["experiments"];
  /** SHIM's folder: packages and modules are resolved from it. */
  readonly home: string;
  readonly work: ServiceWork;
}

export type ServiceWork =
  | { readonly kind: "check" }
  | { readonly kind: "choose"; readonly trials: readonly AskedTrial[] }
  | { readonly kind: "send"; readonly name: string; readonly units: readonly SentUnit[] };

export interface AskedTrial {
  /** Name of the experiment at the service: the key of the setting. */
  readonly name: string;
  readonly share: number;
  readonly salt: string;
  readonly unit: string;
}

export interface SentUnit {
  readonly unit: string;
  readonly arm: string;
  readonly measured: Readonly<Record<string, number>>;
}

export interface ServiceAnswer {
  /** In the order of the trials; null: the session is not in it. Empty for other work. */
  readonly arms: readonly (string | null)[];
  /** Empty: all went well. */
  readonly problems: readonly string[];
}
