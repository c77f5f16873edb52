/** The part of redlock 4 that the bench uses; it brings no types. */
declare module "redlock" {
  interface Lock {
    unlock(): Promise<void>;
  }
  export default class Redlock {
    constructor(clients: readonly unknown[], options: { readonly retryCount: number });
    lock(resource: string, ttlMs: number): Promise<Lock>;
  }
}
