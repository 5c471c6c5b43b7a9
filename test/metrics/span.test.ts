/** SQuAD's scores, by hand with the steps of the official script: lower case, punctuation, articles, white space. */
import test from 'ava'
import { answerF1, answerWords, exactMatch, scoreAnswers } from '../../lib/metrics/span.js'

test('the words that count', (t) => {
  const words = (answer: string) => answerWords(answer).join('|')
  t.is(words('The Denver Broncos'), 'denver|broncos')
  t.is(words('  a  cat,\tAN owl \n and the  dog.'), 'cat|owl|and|dog')
  // Punctuation goes before articles do, and leaves no space behind.
  t.is(words("Levi's Stadium's 'the'"), 'levis|stadiums')
  t.is(words('the-cat an_owl a.b'), 'thecat|anowl|ab')
  t.is(words('$1,000.50 (24–10)'), '100050|24–10')
  // Only ASCII punctuation; articles are whole words of any script's letters.
  t.is(words('“the” «a» naïve theé éa the\u0301'), '“|”|«|»|naïve|theé|éa|\u0301')
  t.is(words('theatre another Athena an1 the²'), 'theatre|another|athena|an1|the²')
  t.is(words('no\u00a0break\u3000wide\u0085next\u001cfile'), 'no|break|wide|next|file')
  t.is(words('zero\ufeffwidth\u200bspace'), 'zero\ufeffwidth\u200bspace')
  t.is(words('İ ΟΔΟΣ'), 'i̇|οδος')
  for (const empty of ['', ' ', 'the', 'A.', '"The A,"', '...']) t.is(words(empty), '')
})

test('exact match', (t) => {
  t.true(exactMatch('the  Denver broncos!', 'Denver Broncos'))
  t.false(exactMatch('Broncos Denver', 'Denver Broncos'))
  t.false(exactMatch('Denver', 'Denver Broncos'))
  t.true(exactMatch('the', '.'))
})

test('F1 counts words as often as they occur', (t) => {
  t.is(answerF1('Denver Broncos', 'the Broncos of Denver'), 0.8)
  // Two of three right, two of two found.
  t.is(answerF1('cat cat dog', 'cat dog'), 0.8)
  t.is(answerF1('cat cat cat', 'cat dog'), 2 / 5)
  t.is(answerF1('owl', 'cat dog'), 0)
  t.is(answerF1('', 'cat'), 0)
  t.is(answerF1('the', 'cat'), 0)
  t.is(answerF1('the', ''), 1)
  t.is(answerF1('constructor', 'cat'), 0)
})

test('the best of the reference answers, and none of them', (t) => {
  t.deepEqual(scoreAnswers(['Santa Clara'], [['Santa Clara, California', 'santa clara', 'Levi']]), {
    exactMatch: 1,
    f1: 1,
  })
  // Exact match and F1 take their best from references of their own.
  const scores = scoreAnswers(['red cat', '', 'dog', ''], [['cat', 'red cat dog'], [], [], ['dog']])
  t.deepEqual(scores, { exactMatch: 0.25, f1: (0.8 + 1 + 0 + 0) / 4 })
})
