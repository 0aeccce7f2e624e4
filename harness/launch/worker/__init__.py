"""The process of a case: it carries out orders, and leads the ranks of the case where there are several."""
