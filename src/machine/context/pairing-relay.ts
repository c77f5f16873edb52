import type { PhoneGrant, PhoneStatus } from "../../contract/phones.ts";
import type { Result } from "../../shared/result.ts";

/** Where a machine pairs its phones: a coordinator, or the machine itself. */
export interface PairingRelay {
  /** @param claimHash of the phone that pairs; @param forMs in which it can */
  create(claimHash: string, forMs: number): Promise<Result<{ id: string }>>;
  status(id: string): Promise<Result<PhoneStatus>>;
  grant(id: string, grant: PhoneGrant): Promise<Result<object>>;
  end(which: { readonly id: string }): Promise<Result<object>>;
}

/** A relay of this machine's own, for phones that reach it over an address of its user. */
export interface OwnRelay extends PairingRelay {
  /**
   * Serves on loopback, where the address leads.
   *
   * @param port absent: the one of the last time, else 7446
   */
  open(port?: number): Promise<Result<{ readonly port: number }>>;
  /** Whether a request to the address comes to this relay. */
  isReachedAt(url: string): Promise<boolean>;
}
