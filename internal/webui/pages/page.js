// Sends what a mailed link asks for, once its reader presses the button: opening the page changes nothing,
// because mail scanners open links too. The words are in the page, in its language.
'use strict';

const texts = document.querySelector('main').dataset;
const form = document.querySelector('form');
const message = document.getElementById('message');
const home = document.getElementById('home');
const password = document.getElementById('password');
const show = document.getElementById('show');

// The link carries the token in its fragment, which no server sees, or in its query. It is kept in this
// variable and nowhere else: the address bar, and with it the history, lose it before anything else happens.
const link = [location.hash.slice(1), location.search]
  .map(part => new URLSearchParams(part))
  .find(part => part.has('token')) ?? new URLSearchParams();
const token = link.get('token');
const bare = new URL(location);
bare.hash = bare.search = '';
history.replaceState(null, '', bare);

// Another link of ours that is opened in this tab changes the fragment only: start again with its token.
addEventListener('hashchange', () => location.reload());

if (link.get('invited') === '1' && texts.doneInvited) {
  texts.done = texts.doneInvited;
  for (const element of document.querySelectorAll('[data-invited]')) {
    element.textContent = element.dataset.invited;
  }
}

// say replaces the message, and takes the reader to it.
const say = (tone, ...words) => {
  message.className = tone;
  message.replaceChildren(...words);
  message.focus();
};

// finish is for what cannot be tried again. It also forgets the password that was typed.
const finish = (tone, words) => {
  form.reset();
  form.remove();
  if (home) home.hidden = false;
  say(tone, words);
};

// refuse shows what is wrong with the password, and marks its field.
const refuse = (...words) => {
  password.setAttribute('aria-invalid', 'true');
  say('bad', ...words);
};

// reject does so in the words of the API, which are English and read on from the name of the field.
const reject = words => {
  const reason = document.createElement('span');
  reason.lang = 'en';
  reason.textContent = `it ${words}`;
  const [before, after] = texts.rejected.split('{reason}');
  refuse(before, reason, after);
};

// when reads Retry-After: "in 30 seconds".
const when = response => {
  const seconds = Number.parseInt(response.headers.get('Retry-After'), 10);
  if (!(seconds > 0)) return texts.soon;
  const [unit, size] = seconds < 120 ? ['second', 1] : seconds < 7200 ? ['minute', 60] : ['hour', 3600];
  return new Intl.RelativeTimeFormat(document.documentElement.lang).format(Math.ceil(seconds / size), unit);
};

const answer = async response => {
  if (response.ok) return finish('good', texts.done);
  const problem = await response.json().catch(() => null);
  switch (problem?.code) {
    case 'invalid_token':
      return finish('bad', texts.notValid);
    case 'email_taken':
      return finish('bad', texts.emailTaken);
    case 'validation_failed': {
      const { pointer, message } = problem.errors?.[0] ?? {};
      if (pointer === '/token') return finish('bad', texts.notValid); // Nothing that could be a token.
      if (pointer === '/new_password') return reject(message);
    }
  }
  switch (response.status) {
    case 429:
      return say('bad', texts.tooMany.replace('{when}', when(response)));
    case 503:
      return say('bad', texts.unavailable.replace('{when}', when(response)));
  }
  return say('bad', texts.failed);
};

let sending = false;

form.addEventListener('submit', async event => {
  event.preventDefault();
  if (sending) return; // The second of two clicks.
  const length = password ? [...password.value].length : 8; // In characters, as the service counts.
  if (length < 8 || length > 256) return refuse(texts.length);

  sending = true;
  form.setAttribute('aria-busy', 'true');
  password?.removeAttribute('aria-invalid');
  try {
    const response = await fetch(form.action, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ token, ...Object.fromEntries(new FormData(form)) }),
      redirect: 'error', // Nobody but this service gets the token.
      signal: AbortSignal.timeout(30_000),
    });
    await answer(response);
  } catch {
    say('bad', texts.unreachable);
  } finally {
    sending = false;
    form.removeAttribute('aria-busy');
  }
});

show?.addEventListener('change', () => {
  password.type = show.checked ? 'text' : 'password';
});

if (token) {
  form.hidden = false;
} else {
  finish('bad', texts.incomplete);
}
