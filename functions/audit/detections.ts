import { type Deed, milder, worst } from './deed.ts';
import type { Detection, Verdict } from './detection.ts';
import {
  admissionChange,
  apiExtensionChange,
  cloudIdentityChange,
  criticalConfigChange,
  deploySourceChange,
  podSecurityChange,
  watcherChange,
} from './guards.ts';
import {
  accessProbe,
  endpointChange,
  exposedService,
  mastersAccess,
  nodeChange,
  systemPrincipalOutside,
} from './network.ts';
import { everydayReason, noiseOf } from './noise.ts';
import { impersonation, permissionDiscovery, rbacChange, tokenRequest } from './rights.ts';
import { resourceDeletion, secretAccess, secretRead } from './secrets.ts';
import { anonymousAccess, podExec, podExecSuspicious, proxyAccess } from './sessions.ts';
import {
  ephemeralContainer,
  kubeSystemWorkload,
  podSecurityViolation,
  privilegedPod,
  workloadByHand,
} from './workloads.ts';

/** The table: the first row that matches names the finding, and the worst of all that match is its severity. */
export const detections: readonly Detection[] = [
  podExecSuspicious,
  podExec,
  ephemeralContainer,
  privilegedPod,
  rbacChange,
  impersonation,
  admissionChange,
  apiExtensionChange,
  watcherChange,
  podSecurityChange,
  criticalConfigChange,
  deploySourceChange,
  cloudIdentityChange,
  secretRead,
  secretAccess,
  tokenRequest,
  proxyAccess,
  anonymousAccess,
  resourceDeletion,
  kubeSystemWorkload,
  podSecurityViolation,
  workloadByHand,
  exposedService,
  endpointChange,
  nodeChange,
  permissionDiscovery,
  systemPrincipalOutside,
  accessProbe,
  mastersAccess,
];

/** A request that is news, and why. */
export interface Match {
  readonly detection: Detection;
  readonly verdict: Verdict;
  readonly severity: Verdict['severity'];
  /** The names of the other detections that matched. */
  readonly matched: readonly string[];
}

export type Judgement = { readonly match: Match } | { readonly match?: undefined; readonly reason: string };

interface Row {
  readonly detection: Detection;
  readonly verdict: Verdict;
}

function isExempt({ who }: Deed, { exempt }: Detection): boolean {
  return exempt.some((preset) => who.presets.has(preset));
}

function rowsOf(deed: Deed, rows: readonly Detection[]): Row[] {
  const matching = rows.flatMap((detection): Row[] => {
    const verdict = isExempt(deed, detection) ? undefined : detection.judge(deed);
    return verdict ? [{ detection, verdict }] : [];
  });
  const plain = matching.filter(({ verdict }) => !verdict.isLastResort);
  return plain.length > 0 ? plain : matching;
}

/** What an admission plugin refused has not happened, but was tried: one step milder, between LOW and MEDIUM. */
function refusedSeverity(severity: Verdict['severity']): Verdict['severity'] {
  return milder(severity) === 'LOW' ? 'LOW' : 'MEDIUM';
}

/** Judges a request by the table; pure. */
export function judge(deed: Deed): Judgement {
  const noise = noiseOf(deed);
  if (noise !== undefined) return { reason: noise };
  const everyday = deed.outcome === 'denied' ? 'denied' : deed.resource === '' ? 'no_object' : everydayReason(deed);
  const rows = rowsOf(deed, everyday === undefined ? detections : detections.filter(({ isAboutWho }) => isAboutWho));
  const [first, ...others] = rows;
  if (!first) return { reason: everyday ?? 'no_rule' };
  const severity = worst(rows.map(({ verdict }) => verdict.severity));
  return {
    match: {
      ...first,
      severity: deed.outcome === 'refused' ? refusedSeverity(severity) : severity,
      matched: others.map(({ detection }) => detection.name),
    },
  };
}
