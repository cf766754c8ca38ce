import * as z from 'zod';
import { createAddressList } from '../../shared/edge/client-address.ts';
import { isAddressOrCidr } from '../../shared/function/access-options.ts';
import { type CommonSettings, commaList, integer } from '../../shared/function/settings.ts';
import type { Scope } from './deed.ts';
import { createNameTests } from './names.ts';

/** A list of users: `+` alone is the preset, and a leading `+` adds to it. */
const users = commaList.default(['+']);

export const auditSettings = z.object({
  AUDIT_IGNORE_USERS: users,
  AUDIT_OPERATORS: users,
  AUDIT_DEPLOYERS: users,
  AUDIT_SECRET_READERS: users,
  AUDIT_IMPERSONATORS: users,
  AUDIT_WATCHER_NAMESPACES: commaList.default(['falco', 'kyverno', 'gatekeeper-system', 'trivy-system']),
  AUDIT_CLUSTER_CIDRS: commaList
    .refine((list) => list.every(isAddressOrCidr), { error: 'must be IP addresses and CIDRs, separated by commas' })
    .default([]),
  AUDIT_BUFFER_SIZE: integer(1, 100_000).default(200),
});

export type AuditSettings = z.infer<typeof auditSettings> & CommonSettings;

function createScope(settings: AuditSettings): Scope {
  const { AUDIT_CLUSTER_CIDRS: cidrs, AUDIT_WATCHER_NAMESPACES: watchers, SYSTEM_NAMESPACE, ownUsers } = settings;
  return {
    tests: createNameTests(settings),
    systemNamespace: SYSTEM_NAMESPACE,
    watchNamespace: settings.WATCH_NAMESPACE,
    ownUsers,
    watcherNamespaces: new Set([...watchers, SYSTEM_NAMESPACE]),
    isInside: cidrs.length > 0 ? createAddressList(cidrs) : undefined,
  };
}

const scopes = new WeakMap<AuditSettings, Scope>();

/** The settings, compiled once. */
export function scopeOf(settings: AuditSettings): Scope {
  const known = scopes.get(settings);
  if (known) return known;
  const scope = createScope(settings);
  scopes.set(settings, scope);
  return scope;
}
