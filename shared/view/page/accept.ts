import { useEffect, useState } from 'preact/hooks';
import { ask, Fault, type Observation, post, type Session } from './answers.ts';
import { html } from './html.ts';
import { shown, yamlDocument } from './texts.ts';

const justifications = [
  ['risk-accepted', 'The risk is accepted'],
  ['mitigated', 'Something else mitigates it'],
  ['not-affected', 'It does not apply here'],
  ['false-positive', 'The tool is wrong'],
] as const;

const scopes = [
  ['here', 'On this workload only'],
  ['namespace', 'Everywhere in this namespace'],
] as const;

interface Choice {
  readonly reason: string;
  readonly justification: string;
  /** A day, as `2026-03-01`. */
  readonly until: string;
  readonly scope: string;
}

const month = 30 * 86_400_000;

function dayIn(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString().slice(0, 10);
}

/** A name that a Kubernetes object may have. */
function nameFrom(...parts: readonly string[]): string {
  const name = parts
    .join('-')
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]+/g, '-')
    .slice(0, 60);
  return name.replaceAll(/^-+|-+$/g, '') || 'exception';
}

/** The ObservationException that somebody chooses. */
function exceptionOf({ metadata, spec }: Observation, { reason, justification, until, scope }: Choice) {
  const { resource, rule, source } = spec;
  const isHere = scope === 'here' && resource?.name !== undefined;
  return {
    apiVersion: 'zen.kube-zen.io/v1alpha1',
    kind: 'ObservationException',
    metadata: {
      name: nameFrom(rule ?? spec.eventType, ...(isHere ? [resource.name ?? ''] : [])),
      namespace: metadata.namespace,
    },
    spec: {
      match: {
        sources: [source],
        ...(rule !== undefined && rule !== '' && { rules: [rule] }),
        ...(isHere && {
          resources: [
            { kind: resource.kind, name: resource.name, ...(resource.namespace && { namespace: resource.namespace }) },
          ],
        }),
      },
      reason: reason === '' ? 'say why' : reason,
      justification,
      ...(until !== '' && { until: `${until}T00:00:00Z` }),
    },
  };
}

/** Whether whoever looks may apply one in this namespace. */
function useMayAccept(namespace: string): boolean {
  const [mayAccept, setMayAccept] = useState(false);
  useEffect(() => {
    ask<Session>('/observations/session', new URLSearchParams({ namespace })).then(
      (session) => setMayAccept(session.mayAccept),
      () => setMayAccept(false),
    );
  }, [namespace]);
  return mayAccept;
}

async function copy(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'The browser does not allow that: select the text instead';
  }
}

export function Accept({ found }: { readonly found: Observation }) {
  const [choice, setChoice] = useState<Choice>(() => ({
    reason: '',
    justification: 'risk-accepted',
    until: dayIn(month),
    scope: 'here',
  }));
  const [said, setSaid] = useState('');
  const mayAccept = useMayAccept(found.metadata.namespace);
  const exception = exceptionOf(found, choice);
  const yaml = yamlDocument(exception);
  const set = (name: keyof Choice) => (event: Event) => {
    const { target } = event;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement)
      setChoice({ ...choice, [name]: target.value });
  };
  const options = (all: typeof justifications | typeof scopes, value: string) =>
    all.map(([word, text]) => html`<option value=${word} selected=${word === value}>${text}</option>`);
  async function apply(): Promise<void> {
    if (choice.reason === '') return setSaid('It needs a reason');
    try {
      await post(`/observations/exceptions?${new URLSearchParams({ namespace: found.metadata.namespace })}`, exception);
      setSaid('Applied: it takes effect within a minute');
    } catch (error) {
      setSaid(error instanceof Fault ? `${error.message}${error.path ? `: ${error.path}` : ''}` : String(error));
    }
  }
  return html`<details class="accept"><summary>Accept</summary>
    <p class="hint">An exception says why this is accepted, and until when. It deletes nothing, and ends by itself.</p>
    <div class="fields">
      <label class="whole">Why<input type="text" required value=${choice.reason} onInput=${set('reason')} maxlength="256" /></label>
      <label>Because<select onChange=${set('justification')}>${options(justifications, choice.justification)}</select></label>
      <label>Until<input type="date" value=${choice.until} min=${dayIn(0)} onInput=${set('until')} /></label>
      <label class="whole">For<select onChange=${set('scope')}>${options(scopes, choice.scope)}</select></label>
    </div>
    <pre tabindex="0" aria-label="The exception as YAML">${shown(yaml)}</pre>
    <div class="buttons">
      ${mayAccept && html`<button type="button" class="main" onClick=${apply}>Apply</button>`}
      <button type="button" onClick=${async () => setSaid(await copy(yaml))}>Copy YAML</button>
      <span role="status">${shown(said)}</span>
    </div></details>`;
}
