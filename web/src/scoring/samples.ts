// Three texts written for this page: the same task, done with more and less practice.

export interface Sample {
  name: string;
  text: string;
}

/** What they answer. */
export const SAMPLE_PROMPT = "Should lessons begin later in the morning? Give reasons for your opinion.";

export const SAMPLES: [Sample, Sample, Sample] = [
  {
    name: "a beginner",
    text: `I think school should begin more late. In the morning many student is tired and they not listen. My brother he sleep in the first lesson every day and the teacher say to him wake up. When school begin at nine we can to sleep more and we have breakfast with family. Also the bus is very full at seven. Some people says if school finish late then no time for sport. But I think sport can be after, it is no problem. So I am agree to begin late, because who sleep good can learn good.`,
  },
  {
    name: "on the way",
    text: `Many people believe that schools should start later in the morning, and I agree with them. First of all, teenagers need more sleep than adults, so when they get up at six they are tired during the first lessons. In my class, half of the students don't say a word before ten o'clock. If the school started at nine, we could concentrate better and our marks would probably improve. On the other hand, some parents have to leave for work early and they would worry about their children. This is a real problem, but schools could open the library for the students which arrive early. To sum up, a later start has more advantages than disadvantages.`,
  },
  {
    name: "at ease",
    text: `Few changes to school life would cost as little, and achieve as much, as letting the day begin an hour later. Adolescents are not lazy; their internal clocks simply run behind those of the adults who draw up timetables. Admittedly, a later start would inconvenience parents who leave for work at dawn, and clubs that meet in the afternoon would have to squeeze their training into shorter evenings. Yet neither objection is insurmountable: a supervised study room would cover the first hour, and most clubs already share their halls with somebody else. What is harder to justify is the present arrangement, in which we teach the hardest subjects to those who are still half asleep.`,
  },
];
