import { useEffect, useState } from 'preact/hooks';
import { endOfDay, exceptionFor, exceptionNamespace, exceptionText, isInNamespace } from '../exception-for.ts';
import { ask, Fault, type Observation, post, type Session } from './answers.ts';
import { html } from './html.ts';
import { shown } from './texts.ts';

const justifications = [
  ['', 'Not said'],
  ['risk-accepted', 'The risk is accepted'],
  ['mitigated', 'Something else mitigates it'],
  ['not-affected', 'It does not apply here'],
  ['false-positive', 'The tool is wrong'],
] as const;

const scopes = [
  ['here', 'On this workload only'],
  ['namespace', 'Everywhere in this namespace'],
] as const;

const users = [
  ['same', 'By this user'],
  ['anyone', 'By anyone'],
] as const;

interface Choice {
  readonly reason: string;
  readonly justification: string;
  readonly ticket: string;
  /** A day, as `2026-03-01`; empty for ever. */
  readonly until: string;
  readonly scope: string;
  readonly user: string;
}

const month = 30 * 86_400_000;

function dayIn(milliseconds: number): string {
  return new Date(Date.now() + milliseconds).toISOString().slice(0, 10);
}

/** What keeps a choice from being an exception; `undefined` if nothing does. */
function faultIn({ reason, until }: Choice): string | undefined {
  if (reason.trim() === '') return 'Say why first';
  return until !== '' && Date.parse(endOfDay(until)) <= Date.now() ? 'That day is over' : undefined;
}

/** Where an exception has to be, and whether whoever looks may apply it there. */
function usePlace(found: Observation): { readonly systemNamespace: string; readonly mayAccept: boolean } | undefined {
  const [place, setPlace] = useState<{ readonly systemNamespace: string; readonly mayAccept: boolean }>();
  useEffect(() => {
    const sessionIn = (namespace: string) => ask<Session>('/observations/session', new URLSearchParams({ namespace }));
    const read = async (): Promise<void> => {
      const own = await sessionIn(found.metadata.namespace);
      const { systemNamespace } = own;
      const namespace = exceptionNamespace(found, systemNamespace);
      // Who sees one namespace may not ask about another.
      const isOwn = namespace === found.metadata.namespace;
      const mayAccept = isOwn ? own.mayAccept : (await sessionIn(namespace).catch(() => undefined))?.mayAccept;
      setPlace({ systemNamespace, mayAccept: mayAccept ?? false });
    };
    read().catch(() => undefined);
  }, [found.metadata.namespace, found.metadata.name]);
  return place;
}

async function copy(text: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(text);
    return 'Copied';
  } catch {
    return 'The browser does not allow that: select the text instead';
  }
}

interface FieldsProps {
  readonly found: Observation;
  readonly choice: Choice;
  readonly onChoice: (choice: Choice) => void;
}

function Fields({ found, choice, onChoice }: FieldsProps) {
  const set = (name: keyof Choice) => (event: Event) => {
    const { target } = event;
    if (target instanceof HTMLInputElement || target instanceof HTMLSelectElement)
      onChoice({ ...choice, [name]: target.value });
  };
  const options = (all: readonly (readonly [string, string])[], value: string) =>
    all.map(([word, text]) => html`<option value=${word} selected=${word === value}>${text}</option>`);
  return html`<div class="fields">
    <label class="whole">Why<input type="text" required value=${choice.reason} onInput=${set('reason')} maxlength="256" /></label>
    <label>Because<select onChange=${set('justification')}>${options(justifications, choice.justification)}</select></label>
    <label>Until the end of<input type="date" value=${choice.until} min=${dayIn(0)} onInput=${set('until')} /></label>
    <label>Ticket<input type="text" value=${choice.ticket} onInput=${set('ticket')} maxlength="253" /></label>
    <p class="hint" role="status">${choice.until === '' ? 'No date: for ever.' : ''}</p>
    ${isInNamespace(found) && html`<label class="whole">For<select onChange=${set('scope')}>${options(scopes, choice.scope)}</select></label>`}
    ${found.spec.actor && html`<label class="whole">Done<select onChange=${set('user')}>${options(users, choice.user)}</select></label>`}
  </div>`;
}

export function Accept({ found }: { readonly found: Observation }) {
  const [choice, setChoice] = useState<Choice>(() => ({
    reason: '',
    justification: '',
    ticket: '',
    until: dayIn(month),
    scope: 'here',
    user: 'same',
  }));
  const [said, setSaid] = useState('');
  const place = usePlace(found);
  if (!place) return null;
  const { systemNamespace, mayAccept } = place;
  const options = {
    ...choice,
    until: choice.until === '' ? undefined : endOfDay(choice.until),
    isForNamespace: choice.scope === 'namespace',
    isByAnyone: choice.user === 'anyone',
    systemNamespace,
  };
  const yaml = exceptionText(found, options);
  async function apply(): Promise<string> {
    const namespace = exceptionNamespace(found, systemNamespace);
    try {
      await post(`/observations/exceptions?${new URLSearchParams({ namespace })}`, exceptionFor(found, options));
      return 'Applied: it takes effect within a minute';
    } catch (error) {
      return error instanceof Fault ? `${error.message}${error.path ? `: ${error.path}` : ''}` : String(error);
    }
  }
  const unlessFaulty = (act: () => Promise<string>) => async () => setSaid(faultIn(choice) ?? (await act()));
  return html`<details class="accept"><summary>Accept</summary>
    <p class="hint">An exception says why this is accepted, and until when. It deletes nothing, and ends by itself.</p>
    <${Fields} found=${found} choice=${choice} onChoice=${(next: Choice) => {
      setChoice(next);
      setSaid('');
    }} />
    <pre tabindex="0" aria-label="The exception as YAML">${shown(yaml)}</pre>
    <div class="buttons">
      ${mayAccept && html`<button type="button" class="main" onClick=${unlessFaulty(apply)}>Apply</button>`}
      <button type="button" onClick=${unlessFaulty(() => copy(yaml))}>Copy YAML</button>
      <span role="status">${shown(said)}</span>
    </div></details>`;
}
